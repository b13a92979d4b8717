fsdp
MICRO_BATCH_SIZE = 2  # sequences
mesh = init_device_mesh("cuda", (2, 4), mesh_dim_names=("replicate", "shard"))
fully_shard(model, mesh=mesh, reshard_after_forward=True)
