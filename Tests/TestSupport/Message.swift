import WidebandTorch

/// The description of the error that `body` throws, in a `withTorch` scope of its own; "no error" if it throws none.
public func message<Value>(_ body: () throws -> Value) -> String {
  do {
    _ = try withTorch(body)
    return "no error"
  } catch { return "\(error)" }
}
