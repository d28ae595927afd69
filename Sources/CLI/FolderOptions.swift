import ArgumentParser
import Foundation
import Wideband

/// Options for writing a model folder.
struct FolderOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The maximum size of a file of weights, as in 500MB; by default \(ByteCount(ModelFolder.defaultShardBytes)).",
      valueName: "size"),
    transform: ByteCount.init(parsing:))
  var shardSize = ByteCount(ModelFolder.defaultShardBytes)

  func validate() throws {
    guard shardSize.bytes > 0 else {
      throw ValidationError("--shard-size is \(shardSize): expected a size as in 500MB")
    }
  }
}

/// A number of bytes with an optional unit: 1000000, 500MB, 5GB.
struct ByteCount: CustomStringConvertible {
  let bytes: Int

  private static let units = [
    ("TB", 1_000_000_000_000), ("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("B", 1), ("", 1),
  ]

  init(_ bytes: Int) { self.bytes = bytes }

  init(parsing argument: String) throws {
    let text = argument.uppercased()
    guard let (suffix, unit) = Self.units.first(where: { text.hasSuffix($0.0) }),
      let number = Int(text.dropLast(suffix.count)), number >= 0,
      case (let bytes, false) = number.multipliedReportingOverflow(by: unit)
    else { throw ValidationError("expected a size as in 500MB") }
    self.bytes = bytes
  }

  /// The number with its unit; three digits where more have no place, as in 1.07GB.
  var description: String {
    let (suffix, unit) = Self.units.first { bytes >= $0.1 } ?? ("", 1)
    return bytes.isMultiple(of: unit)
      ? "\(bytes / unit)\(suffix)" : String(format: "%.3g", Double(bytes) / Double(unit)) + suffix
  }
}
