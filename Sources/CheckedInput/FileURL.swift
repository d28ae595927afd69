import Foundation

/// The file or folder that a path in a flag, a recipe or a file names.
///
/// Foundation's initializer expands a leading "~" to a home folder, the system's calls do not: checking and writing
/// would then use two places. A shell has already expanded "~" where a home folder was meant.
public func fileURL(
  _ path: String, directoryHint: URL.DirectoryHint = .inferFromPath, relativeTo base: URL? = nil
) -> URL {
  URL(filePath: path.hasPrefix("~") ? "./" + path : path, directoryHint: directoryHint, relativeTo: base)
}
