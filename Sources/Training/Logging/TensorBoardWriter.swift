import Foundation
import SwiftProtobuf
import WidebandCheckpoint
import WidebandData

/// Writes TensorBoard's event files: `tensorboard --logdir FOLDER` shows the curves and samples of a run.
///
/// Each process writes its own file, which begins with the step after which it starts, so that TensorBoard drops the
/// later steps of an earlier process.
public final class TensorBoardWriter {
  private let file: FileWriter

  /// The prefix of the names of event files.
  static let prefix = "events.out.tfevents."

  // Values of TensorFlow's enums SessionStatus, DataClass and DataType.
  private static let start: Int32 = 1
  private static let tensorClass: Int32 = 2
  private static let string: Int32 = 7

  /// Creates an event file in `folder` for the steps after `resumed`.
  ///
  /// - Throws: `CheckpointError` if it cannot be written.
  public init(folder: String, after resumed: Int) throws {
    let name = "\(Self.prefix)\(Int(Date().timeIntervalSince1970)).\(ProcessInfo.processInfo.hostName)"
    // A run that is started twice within a second must not write to the same file.
    let names = sequence(first: 0) { $0 + 1 }.lazy.map { $0 == 0 ? name : "\(name).\($0)" }
    let free = names.first { !FileManager.default.fileExists(atPath: "\(folder)/\($0)") } ?? name
    file = try FileWriter("\(folder)/\(free)")
    try write(step: 0) { $0.fileVersion = "brain.Event:2" }
    try write(step: resumed + 1) { $0.sessionLog.status = Self.start }
  }

  /// Adds a point to each of several curves.
  ///
  /// - Parameter scalars: tags, such as `loss/train`, and values, which need not be finite.
  /// - Throws: `CheckpointError` if the file cannot be written.
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
  ///
  /// - Throws: `CheckpointError` if the file cannot be written.
  public func write(step: Int, tag: String, text: String) throws {
    try write(step: step) { event in
      event.summary.value = [
        .with {
          $0.tag = tag
          $0.metadata.pluginData.pluginName = "text"
          $0.metadata.dataClass = Self.tensorClass
          $0.tensor.dtype = Self.string
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
