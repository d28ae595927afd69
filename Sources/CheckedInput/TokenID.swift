/// The id of a token: its index in the vocabulary, from 0.
///
/// Tokenizers, decoding and stop tokens use this type alone. `Limits.vocabulary` bounds ids far below its maximum.
/// Tensors of tokens hold them as int64, as libtorch's index operators expect.
public typealias TokenID = Int32
