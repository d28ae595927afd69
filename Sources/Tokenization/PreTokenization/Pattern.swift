import WidebandCPCRE2
import WidebandCheckedInput

/// A compiled regular expression; matching is thread-safe if every thread uses its own ``MatchState``.
final class Pattern: @unchecked Sendable {
  /// The pattern as the file spells it.
  let source: String
  /// Whether `source` is matched literally.
  let isLiteral: Bool
  private let code: OpaquePointer

  /// The maximum length of a pattern in bytes: a hundred times that of the longest in use.
  private static let maximumLength = 1 << 17

  /// Compiles `source`.
  ///
  /// - Parameters:
  ///   - source: a pattern of the Oniguruma dialect, or the text itself when `isLiteral`.
  ///   - isLiteral: match the characters of `source` as they are.
  /// - Throws: ``TokenizationError`` without a file name.
  init(_ source: String, isLiteral: Bool = false) throws {
    self.source = source
    self.isLiteral = isLiteral
    let translated = isLiteral ? source : try PatternTranslation.translate(source)
    var options = UInt32(PCRE2_UTF) | UInt32(PCRE2_UCP)
    options |= isLiteral ? UInt32(bitPattern: Int32(PCRE2_LITERAL)) : UInt32(PCRE2_MULTILINE)
    if isLiteral { options &= ~UInt32(PCRE2_UCP) }
    let context = pcre2_compile_context_create_8(nil)
    defer { pcre2_compile_context_free_8(context) }
    pcre2_set_newline_8(context, UInt32(PCRE2_NEWLINE_LF))
    pcre2_set_max_pattern_length_8(context, Self.maximumLength)
    var failure: Int32 = 0
    var offset = 0
    let compiled = Array(translated.utf8).withUnsafeBufferPointer {
      pcre2_compile_8($0.baseAddress, $0.count, options, &failure, &offset, context)
    }
    guard let compiled else { throw TokenizationError.malformed("is not a valid pattern: \(Self.message(failure))") }
    // On platforms without a just-in-time compiler, matching is interpreted and slower.
    pcre2_jit_compile_8(compiled, UInt32(PCRE2_JIT_COMPLETE))
    code = compiled
  }

  deinit {
    pcre2_code_free_8(code)
  }

  /// Calls `body` with the bounds of each match in `text`, in order.
  ///
  /// An empty match directly after the match before it is skipped.
  ///
  /// - Parameter text: valid UTF-8.
  func forEachMatch(in text: Bytes, _ state: MatchState, _ body: (_ start: Int, _ end: Int) throws -> Void) throws {
    var position = 0
    var lastEnd = -1
    while position <= text.count, let (start, end) = try match(text, from: position, state) {
      position = end
      if start == end {
        position += end < text.count ? UTF8Text.scalar(in: text, at: end).length : 1
        if end == lastEnd { continue }
      }
      lastEnd = end
      try body(start, end)
    }
  }

  @inline(__always)
  private func match(_ text: Bytes, from start: Int, _ state: MatchState) throws -> (Int, Int)? {
    state.limit(toTextOf: text.count)
    let options = UInt32(PCRE2_NO_UTF_CHECK)
    var result = pcre2_match_8(code, text.baseAddress, text.count, start, options, state.data, state.context)
    if result == PCRE2_ERROR_JIT_STACKLIMIT {
      // The interpreting matcher stores its state on the heap and needs no stack of a fixed size.
      result = pcre2_match_8(
        code, text.baseAddress, text.count, start, options | UInt32(PCRE2_NO_JIT), state.data, state.context)
    }
    if result == PCRE2_ERROR_NOMATCH { return nil }
    guard result >= 0 else {
      throw TokenizationError.patternFailed(
        "the pre-tokenizer pattern \(quoted(source)) fails at byte \(start) of \(text.count) of the text: "
          + Self.message(result))
    }
    return (state.bounds[0], state.bounds[1])
  }

  private static func message(_ code: Int32) -> String {
    var buffer = [UInt8](repeating: 0, count: 256)
    let length = pcre2_get_error_message_8(code, &buffer, buffer.count)
    let words = String(decoding: buffer.prefix(Int(max(0, length))), as: UTF8.self)
    return switch code {
    case PCRE2_ERROR_MATCHLIMIT, PCRE2_ERROR_DEPTHLIMIT, PCRE2_ERROR_HEAPLIMIT:
      "matching takes too many steps (PCRE2: \(words))"
    default: length > 0 ? words : "PCRE2 error \(code)"
    }
  }
}

/// The mutable state of matching, for any pattern; used by one thread at a time.
final class MatchState {
  fileprivate let data: OpaquePointer?
  fileprivate let context: OpaquePointer?
  /// Start and end of the last match.
  fileprivate let bounds: UnsafeMutablePointer<Int>
  private let stack: OpaquePointer?
  private var limitedCount = -1

  init() {
    data = pcre2_match_data_create_8(1, nil)
    context = pcre2_match_context_create_8(nil)
    stack = pcre2_jit_stack_create_8(32 << 10, 8 << 20, nil)
    bounds = pcre2_get_ovector_pointer_8(data)
    pcre2_jit_stack_assign_8(context, nil, UnsafeMutableRawPointer(stack))
    pcre2_set_heap_limit_8(context, Self.heapLimit)
  }

  /// The heap limit of the interpreting matcher, in KiB.
  private static let heapLimit: UInt32 = 1 << 20
  /// Backtracking steps that are allowed for a match in any text, some seconds of work.
  private static let minimumSteps = 10_000_000
  /// Additional steps per byte of text: a run of spaces as long as the text is backtracked space by space.
  private static let stepsPerByte = 16

  /// Bounds the steps of a match. A pattern such as `(a+)+$` doubles them with every byte.
  @inline(__always)
  fileprivate func limit(toTextOf count: Int) {
    guard count != limitedCount else { return }
    limitedCount = count
    let steps = UInt32(
      clamping: Self.minimumSteps + count.multipliedReportingOverflow(by: Self.stepsPerByte).partialValue)
    pcre2_set_match_limit_8(context, steps)
    pcre2_set_depth_limit_8(context, steps)
  }

  deinit {
    pcre2_match_data_free_8(data)
    pcre2_match_context_free_8(context)
    pcre2_jit_stack_free_8(stack)
  }
}
