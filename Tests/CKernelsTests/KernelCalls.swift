import WidebandCKernels

/// One forward pass of the kernels: a write, a read, or a write and then a read. A missing connection leaves out its part.
func forward(
  writer: ck_connection? = nil, reader: ck_connection? = nil, tokens: Int, state: UnsafePointer<Float>?,
  output: Memory? = nil, nextState: Memory? = nil, savedWrite: Memory? = nil, input: Memory? = nil, threads: Int32 = 1
) -> Bool {
  withPointers(to: writer, reader) { writer, reader in
    var args = ck_connection_forward_args(
      writer: writer, reader: reader, tokens: Int64(tokens), state: state, output: output?.pointer,
      next_state: nextState?.pointer, saved_write: savedWrite?.pointer, input: input?.pointer)
    return ck_connection_forward(&args, threads)
  }
}

/// The backward pass of a write alone.
func backward(
  writer: ck_connection, tokens: Int, savedWrite: Memory?, nextStateGradient: Memory, outputGradient: Memory
) -> Bool {
  withPointers(to: writer, nil) { writer, _ in
    var args = ck_connection_backward_args()
    args.writer = writer
    args.tokens = Int64(tokens)
    args.next_state_gradient = UnsafePointer(nextStateGradient.pointer)
    args.saved_write = (savedWrite?.pointer).map { UnsafePointer($0) }
    args.writer_output_gradient = outputGradient.pointer
    return ck_connection_backward(&args, 1)
  }
}

extension KernelArguments {
  /// The write coefficients that the forward pass saves, `[N, m, n]`.
  func savedWrite() -> Memory? {
    let saved = betas()
    return forward(
      writer: connection(), tokens: N, state: state.pointer, output: output, nextState: wide(), savedWrite: saved)
      ? saved : nil
  }

  /// The backward pass of `connection` with these arguments, and with a `writer` that of its write after it.
  func backward(
    _ connection: ck_connection, stateGradient: Memory, gradients: ck_connection_gradients,
    writer: (connection: ck_connection, savedWrite: Memory?, outputGradient: Memory)? = nil, threads: Int32 = 1
  ) -> Bool {
    withUnsafePointer(to: gradients) { gradients in
      withPointers(to: connection, writer?.connection) { connection, before in
        var args = ck_connection_backward_args(
          connection: connection, writer: before, tokens: Int64(N), state: state.pointer, output: output.pointer,
          input_gradient: inputGradient.pointer, next_state_gradient: nextStateGradient.pointer,
          state_gradient: stateGradient.pointer, gradients: gradients,
          saved_write: (writer?.savedWrite?.pointer).map { UnsafePointer($0) },
          writer_output_gradient: writer?.outputGradient.pointer)
        return ck_connection_backward(&args, threads)
      }
    }
  }
}

/// y = x weight^T by one of the two products.
func multiply(
  _ kernel: (UnsafePointer<ck_gemm_args>?, Int32) -> Bool, _ weight: ck_matrix, rows: Int64, _ x: UnsafePointer<Float>,
  into y: UnsafeMutablePointer<Float>, threads: Int32 = 1
) -> Bool {
  withUnsafePointer(to: weight) { weight in
    var args = ck_gemm_args(rows: rows, x: x, weight: weight, y: y)
    return kernel(&args, threads)
  }
}

/// Pointers to two connections, null for a missing one.
private func withPointers<Result>(
  to one: ck_connection?, _ other: ck_connection?,
  _ body: (UnsafePointer<ck_connection>?, UnsafePointer<ck_connection>?) -> Result
) -> Result {
  let both = [one ?? ck_connection(), other ?? ck_connection()]
  return both.withUnsafeBufferPointer { pointers in
    guard let first = pointers.baseAddress else { return body(nil, nil) }
    return body(one == nil ? nil : first, other == nil ? nil : first + 1)
  }
}
