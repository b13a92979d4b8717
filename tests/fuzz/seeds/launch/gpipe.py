gpipe
BATCH_SIZE = 8
GPipe(
    model,
    balance=[9, 9],
    devices=[0, 1],
    chunks=4,
    checkpoint="always",
)
