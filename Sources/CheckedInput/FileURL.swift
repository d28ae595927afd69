import Foundation

/// The file or folder that a path in a flag, a recipe or a file names.
///
/// Foundation's own initializer takes "~" at the beginning for somebody's home folder, which the system's calls do not: what
/// is looked for and what is written would be two places. A shell has put in the home folder where it was meant.
public func fileURL(
  _ path: String, directoryHint: URL.DirectoryHint = .inferFromPath, relativeTo base: URL? = nil
) -> URL {
  URL(filePath: path.hasPrefix("~") ? "./" + path : path, directoryHint: directoryHint, relativeTo: base)
}
