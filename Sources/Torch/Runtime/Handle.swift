/// Owns an object of the C interface.
final class Handle {
  let pointer: OpaquePointer
  private let release: (OpaquePointer?) -> Void

  /// Takes over the caller's reference; nil without an object.
  init?(_ pointer: OpaquePointer?, release: @escaping (OpaquePointer?) -> Void) {
    guard let pointer else { return nil }
    self.pointer = pointer
    self.release = release
  }

  deinit { release(pointer) }
}

/// A value that the C interface refers to by an opaque pointer.
final class Box<Value> {
  let value: Value
  init(_ value: Value) { self.value = value }
}
