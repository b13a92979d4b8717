pipelining
STAGE_LAYERS = [2, 2]
MICRO_BATCH_SIZE = 1
N_MICROBATCHES = 2
SCHEDULE = "zb-h1"
SCHEDULE_CSV = """\
0F0,0F1,0I0,0W0,0I1,0W1
1F0,1I0,1F1,1I1,1W0,1W1
"""
mesh = init_device_mesh("cuda", (2, 1), mesh_dim_names=("pp", "dp"))
