import Foundation
import SwiftProtobuf

/// Writes TensorBoard's event files: `tensorboard --logdir FOLDER` shows the curves and samples of a run.
///
/// Each process writes a file of its own, which begins with the step it starts after, so that TensorBoard forgets what
/// an earlier process wrote about later steps.
public final class TensorBoardWriter {
  private let file: DataFileWriter

  /// What the names of event files begin with.
  static let prefix = "events.out.tfevents."

  /// Makes a new event file in `folder`, for what comes after step `resumed`.
  ///
  /// - Throws: `CheckpointError` if it cannot be written.
  public init(folder: String, after resumed: Int) throws {
    let name = "\(Self.prefix)\(Int(Date().timeIntervalSince1970)).\(ProcessInfo.processInfo.hostName)"
    // A second start within the same second must not write into the first one's file.
    let names = sequence(first: 0) { $0 + 1 }.lazy.map { $0 == 0 ? name : "\(name).\($0)" }
    let free = names.first { !FileManager.default.fileExists(atPath: "\(folder)/\($0)") } ?? name
    file = try DataFileWriter("\(folder)/\(free)")
    try write(step: 0) { $0.fileVersion = "brain.Event:2" }
    try write(step: resumed + 1) { $0.sessionLog.status = .start }
  }

  /// Adds a point to each of several curves.
  ///
  /// - Parameter scalars: tags such as `loss/train`, and values; those that are not finite appear as such.
  public func write(step: Int, scalars: [(tag: String, value: Double)]) throws {
    try write(step: step) { event in
      event.summary.value = scalars.map { scalar in
        .with {
          $0.tag = scalar.tag
          $0.simpleValue = Float(scalar.value)
        }
      }
    }
  }

  /// Adds a text, which TensorBoard shows as Markdown.
  public func write(step: Int, tag: String, text: String) throws {
    try write(step: step) { event in
      event.summary.value = [
        .with {
          $0.tag = tag
          $0.metadata.pluginData.pluginName = "text"
          $0.metadata.dataClass = .tensor
          $0.tensor.dtype = .string
          $0.tensor.tensorShape.dim = [.with { $0.size = 1 }]
          $0.tensor.stringVal = [Data(text.utf8)]
        }
      ]
    }
  }

  private func write(step: Int, _ fill: (inout TensorBoardEvent) -> Void) throws {
    var event = TensorBoardEvent()
    event.wallTime = Date().timeIntervalSince1970
    event.step = Int64(step)
    fill(&event)
    let data: [UInt8] = try event.serializedBytes()
    try TensorBoardRecord.bytes(of: data).withUnsafeBytes(file.append)
  }
}
