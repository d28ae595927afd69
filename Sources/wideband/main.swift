import Torch
Machine.prepare()
