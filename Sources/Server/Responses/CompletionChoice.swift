import WidebandCheckedInput
import WidebandServing

/// A choice of a text completion.
struct CompletionChoice: ChoiceWriter {
  private let index: Int
  /// The prompt's text, with which the answer begins; nil to answer without it.
  private let echo: String?
  private var logprobs: CompletionLogprobs?
  private var text = ""
  private var reports: [TokenLogprob] = []
  private var finishReason = JSONValue.null

  /// - Parameter logprobs: nil for an answer without log-probabilities.
  init(index: Int, echo: String?, logprobs: CompletionLogprobs?) {
    (self.index, self.echo, self.logprobs) = (index, echo, logprobs)
  }

  mutating func append(_ event: SequenceEvent) throws -> [JSONValue] {
    switch event {
    case .started(_, let reports): return echo.map { [take($0, reports)] } ?? []
    case .text(let text, _, let reports):
      return text.isEmpty && (logprobs == nil || reports.isEmpty) ? [] : [take(text, reports)]
    case .finished(let end):
      finishReason = end.reason.json
      return [take("", [])]
    }
  }

  private mutating func take(_ text: String, _ reports: [TokenLogprob]) -> JSONValue {
    self.text += text
    self.reports += reports
    return choice(text, logprobs?.json(reports))
  }

  var whole: JSONValue {
    // The offsets of the whole text begin at 0.
    var logprobs = logprobs
    logprobs?.offset = 0
    return choice(text, logprobs?.json(reports))
  }

  private func choice(_ text: String, _ logprobs: JSONValue?) -> JSONValue {
    ["index": JSONValue(index), "text": .string(text), "logprobs": logprobs ?? .null, "finish_reason": finishReason]
  }
}
