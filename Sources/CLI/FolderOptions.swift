import ArgumentParser
import Wideband

/// Options for writing a model folder.
struct FolderOptions: ParsableArguments {
  @Option(help: ArgumentHelp("The maximum size of a file of weights, as in 500MB or 5GB.", valueName: "size"))
  var shardSize = ByteCount(ModelFolder.defaultShardBytes)

  func validate() throws { try requireFlag("--shard-size", shardSize.bytes, in: 1...Int.max) }
}

/// A number of bytes with an optional unit: 1000000, 500MB, 5GB.
struct ByteCount: ExpressibleByArgument, CustomStringConvertible {
  let bytes: Int

  private static let units = [("GB", 1_000_000_000), ("MB", 1_000_000), ("KB", 1000), ("B", 1), ("", 1)]

  init(_ bytes: Int) { self.bytes = bytes }

  init?(argument: String) {
    let text = argument.uppercased()
    guard let (suffix, unit) = Self.units.first(where: { text.hasSuffix($0.0) }),
      let number = Int(text.dropLast(suffix.count)), number >= 0
    else { return nil }
    let (bytes, hasOverflowed) = number.multipliedReportingOverflow(by: unit)
    if hasOverflowed { return nil }
    self.bytes = bytes
  }

  var description: String {
    let (suffix, unit) = Self.units.first { bytes.isMultiple(of: $0.1) && bytes >= $0.1 } ?? ("", 1)
    return "\(bytes / unit)\(suffix)"
  }
}
