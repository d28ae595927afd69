import Foundation

/// A template in the part of Jinja that the chat templates of published models use.
///
/// ```swift
/// let template = try JinjaTemplate("{% for m in messages %}<|{{ m.role }}|>{{ m.content | trim }}{% endfor %}")
/// let output = try template.render(["messages": JinjaValue(input: messages)])
/// ```
///
/// Rendering equals that of Python's Jinja2 with the settings of transformers (`trim_blocks`, `lstrip_blocks`, its
/// `tojson`, `raise_exception`, `strftime_now` and `{% generation %}`). What is not supported is refused by name when
/// the template is parsed. A template cannot reach files, the process or Swift objects.
public struct JinjaTemplate: Sendable {
  private let statements: [Statement]
  private let limits: JinjaLimits

  /// Parses a template.
  ///
  /// - Throws: ``JinjaError/syntax(line:_:)``.
  public init(_ source: String, limits: JinjaLimits = JinjaLimits()) throws(JinjaError) {
    do { statements = try Parser.statements(of: source, limits: limits) } catch let error as JinjaError {
      throw error
    } catch { throw .syntax(line: 1, "\(error)") }
    self.limits = limits
  }

  /// A rendered template.
  public struct Output {
    /// The text, with the parts that come from the input marked.
    public let text: MarkedText
    /// The byte ranges that `{% generation %}` blocks wrote: what a model has to generate.
    public let generations: [Range<Int>]
  }

  /// Renders the template.
  ///
  /// - Parameters:
  ///   - values: the variables by name.
  ///   - now: the time that `strftime_now` prints.
  /// - Throws: ``JinjaError``: the template failed, refused the values with `raise_exception`, or went beyond a limit.
  public func render(_ values: [String: JinjaValue], now: Date = Date()) throws(JinjaError) -> Output {
    let interpreter = Interpreter(limits: limits, now: now)
    let text = try interpreter.render(statements, Scope(values))
    return Output(text: text, generations: interpreter.generations)
  }
}
