import CTorch

/// Runs steps of a few positions on the processor while all its threads stand by for the kernels: work reaches them at
/// less cost, and between kernels they fetch the weights that are read next. Operators that are no kernels of ours have
/// one thread within.
///
/// - Throws: what `body` throws.
public func standingBy<Result>(_ body: () throws -> Result) throws -> Result {
  try withoutActuallyEscaping(body) { body in
    var result: Swift.Result<Result, any Error>?
    let call = Call { result = Swift.Result { try body() } }
    withExtendedLifetime(call) {
      wb_stand_by(
        { context in
          guard let context else { return }
          Unmanaged<Call>.fromOpaque(context).takeUnretainedValue().body()
        }, Unmanaged.passUnretained(call).toOpaque())
    }
    return try result?.get() ?? body()
  }
}

private final class Call {
  let body: () -> Void
  init(_ body: @escaping () -> Void) { self.body = body }
}
