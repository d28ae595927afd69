import CTorch
import Foundation

/// Why the last call across the C border failed, on one line.
func lastError() -> String { LibtorchMessage(String(cString: wb_last_error())).text }

/// What libtorch says of a failure, in words for the people who run a command.
struct LibtorchMessage {
  /// One line.
  let text: String
  /// Whether memory was asked for that is not there: then the operator that asked says nothing more.
  let isOutOfMemory: Bool

  /// Recognises what libtorch and the C++ library say where memory cannot be had.
  init(_ message: String) {
    if let range = message.range(of: "you tried to allocate ") {
      let bytes = message[range.upperBound...].prefix { $0.isNumber }
      (text, isOutOfMemory) = ("cannot allocate \(bytes) bytes of memory", true)
    } else if let range = message.range(of: "out of memory. Tried to allocate ") {
      // "2.50 GiB. GPU 0 has a total capacity of …"
      let amount = message[range.upperBound...].split(separator: " ").prefix(2).joined(separator: " ")
      let sentence = amount.hasSuffix(".") ? amount.dropLast() : amount[...]
      (text, isOutOfMemory) = ("cannot allocate \(sentence) of the device's memory", true)
    } else if message == "std::bad_alloc" {
      (text, isOutOfMemory) = ("cannot allocate memory", true)
    } else {
      (text, isOutOfMemory) = (message.split(separator: "\n").first.map(String.init) ?? message, false)
    }
  }
}

extension TorchError {
  /// What the last call across the C border failed with, after the operator and its operands.
  static func last(of call: @autoclosure () -> String) -> TorchError {
    let message = LibtorchMessage(String(cString: wb_last_error()))
    return TorchError(message.isOutOfMemory ? message.text : "\(call()): \(message.text)")
  }
}
