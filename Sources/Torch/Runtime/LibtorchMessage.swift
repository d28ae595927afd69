import Foundation
import WidebandCTorch

/// The reason why the last call of the C interface failed, on one line.
package func lastError() -> String { LibtorchMessage(String(cString: wb_last_error())).text }

/// libtorch's message of a failure, shortened to one line for the users of a command.
struct LibtorchMessage {
  /// The message.
  let text: String
  /// Whether an allocation failed. The operator that failed is of no interest then.
  let isOutOfMemory: Bool

  /// Recognizes the messages of libtorch and the C++ library for failed allocations.
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
  /// The error of the last call of the C interface: the operator, its operands and the reason.
  static func last(of call: @autoclosure () -> String) -> TorchError {
    let message = LibtorchMessage(String(cString: wb_last_error()))
    if message.isOutOfMemory { return TorchError(message.text, kind: .outOfMemory) }
    return TorchError("\(call()): \(message.text)")
  }
}
