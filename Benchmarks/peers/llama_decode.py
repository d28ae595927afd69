"""Decoding in llama.cpp, to be compared with `wideband bench decode`.

    python3 Benchmarks/peers/llama_decode.py --model random-0.6b-q8_0.gguf --prompt 128 --tokens 128

Prints one line of JSON. Needs llama-cpp-python, of which only the bindings to llama.cpp's own interface are used; a
llama.cpp built elsewhere is taken from the folder in LLAMA_CPP_LIB_PATH. Everything else is at llama.cpp's defaults.
"""

import ctypes

import gguf
import llama_cpp
import numpy
import timing


def main():
    o = timing.arguments(None)
    model, context = load(o)
    size = llama_cpp.llama_vocab_n_tokens(llama_cpp.llama_model_get_vocab(model))

    def decode(ids):
        tokens = (llama_cpp.llama_token * len(ids))(*ids)
        if llama_cpp.llama_decode(context, llama_cpp.llama_batch_get_one(tokens, len(ids))) != 0:
            raise SystemExit("llama_decode failed")
        logits = llama_cpp.llama_get_logits_ith(context, -1)
        return int(numpy.ctypeslib.as_array(logits, (size,)).argmax())

    def read(prompt):
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        return decode(prompt)

    timing.measure(o, size, read, lambda token: decode([token]), weights(o.model),
                   version=f"llama-cpp-python {llama_cpp.__version__}")


def load(o):
    silent = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(silent, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    model = llama_cpp.llama_model_load_from_file(o.model.encode(), llama_cpp.llama_model_default_params())
    if not model:
        raise SystemExit(f"{o.model}: llama.cpp cannot load it")
    parameters = llama_cpp.llama_context_default_params()
    parameters.n_ctx = o.prompt + o.tokens + 1
    parameters.n_batch = max(parameters.n_batch, o.prompt)
    parameters.n_threads = parameters.n_threads_batch = o.threads
    return model, llama_cpp.llama_init_from_model(model, parameters)


def weights(path):
    """The type of the embedding table, which all matrices have."""
    return next(t.tensor_type.name.lower() for t in gguf.GGUFReader(path).tensors if t.name == "token_embd.weight")


if __name__ == "__main__":
    main()
