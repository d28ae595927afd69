// Only the flags that pkg-config gives for "libtorch" matter; the headers are C++ and are included by CTorch.
