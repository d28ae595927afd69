#!/usr/bin/env bash
# A training run under torchrun, which comes with PyTorch. On every machine, with the same folders mounted:
#   HEAD=node-a NODES=4 NODE=0 ./torchrun.sh
# HEAD is the name or address of machine 0, by which the others reach it; NODE is the number of the machine, from 0. torchrun
# starts the processes of a machine, and starts them again if one fails; --resume auto continues from the last checkpoint.
set -euo pipefail

# torchrun sets OMP_NUM_THREADS to 1 for several processes of a machine, so --threads names the threads of each.
processes=${PROCESSES:-1}
threads=${THREADS:-$(($(nproc) / processes))}

exec torchrun --no-python \
  --nnodes "${NODES:?the number of machines}" --node-rank "${NODE:?the number of this machine, from 0}" \
  --nproc-per-node "$processes" --master-addr "${HEAD:?machine 0}" --master-port "${PORT:-29500}" --max-restarts 3 \
  wideband train --recipe recipe.yaml --data data/tokens --output runs/shared --resume auto --threads "$threads"
