import Hummingbird
import WidebandCheckedInput
import WidebandDecoding
import WidebandServing

/// The endpoints that generate text.
extension APIServer {
  /// `POST /v1/chat/completions`.
  func chat(_ request: Request, _ record: RequestRecord) async throws -> Response {
    var request = request
    let chat = try ChatRequest(try await Self.fields(of: &request))
    let tokenizer = engine.model.tokenizer
    var prompt = try tokenizer.encode(chat.conversation, prompt: chat.thinking).tokens
    if chat.beginsWithCall { prompt += try tokenizer.encode(AnswerParser.beginOfCall, addingSpecialTokens: false) }
    let endTokens = Set(engine.model.endOfTextTokens + [try tokenizer.endOfTurn])
    // Some templates write the beginning of a thought.
    let end = try tokenizer.decode(prompt.suffix(8)).reversed().drop(while: \.isWhitespace)
    let beginsInThought = end.starts(with: "<think>".reversed())
    let logprobs = chat.logprobCount.map { _ in ChatLogprobs(tokenizer: tokenizer) }
    let sequences = try (0..<chat.generation.choices).map { choice in
      var sequence = try chat.generation.sequence(
        prompt, choice: choice, endTokens: endTokens, defaultMaximum: nil, on: engine)
      sequence.logprobCount = chat.logprobCount
      sequence.grammar = chat.grammar
      return sequence
    }
    let streamsCalls = chat.generation.isStreaming
    let writers = sequences.indices.map { index in
      let parser =
        chat.beginsWithCall
        ? AnswerParser.afterBeginOfCall(streamsCalls: streamsCalls)
        : AnswerParser(
          beginsInThought: beginsInThought, parsesTools: chat.callsTools && chat.grammar == nil,
          streamsCalls: streamsCalls)
      return ChatChoice(index: index, parser: parser, isCall: chat.beginsWithCall, logprobs: logprobs)
    }
    let object = (whole: "chat.completion", part: "chat.completion.chunk")
    return try await answer(
      request, record, chat.generation, sequences, writers, object: object, id: "chatcmpl-\(record.id)")
  }

  /// `POST /v1/completions`.
  func complete(_ request: Request, _ record: RequestRecord) async throws -> Response {
    var request = request
    let model = engine.model
    let completion = try CompletionRequest(try await Self.fields(of: &request), for: model)
    let logprobs = completion.logprobCount.map { _ in CompletionLogprobs(model.tokenizer) }
    var sequences: [SequenceRequest] = []
    var writers: [CompletionChoice] = []
    for prompt in completion.prompts {
      let echo = completion.echoes ? try model.tokenizer.decode(prompt) : nil
      for choice in 0..<completion.generation.choices {
        var sequence = try completion.generation.sequence(
          prompt, choice: choice, endTokens: Set(model.endOfTextTokens),
          defaultMaximum: CompletionRequest.defaultMaximumTokens, on: engine)
        sequence.logprobCount = completion.logprobCount
        sequence.reportsPrompt = completion.echoes && completion.logprobCount != nil
        writers.append(CompletionChoice(index: sequences.count, echo: echo, logprobs: logprobs))
        sequences.append(sequence)
      }
    }
    let object = (whole: "text_completion", part: "text_completion")
    return try await answer(
      request, record, completion.generation, sequences, writers, object: object, id: "cmpl-\(record.id)")
  }

  private func answer(
    _ request: Request, _ record: RequestRecord, _ fields: GenerationFields, _ sequences: [SequenceRequest],
    _ writers: [any ChoiceWriter], object: (whole: String, part: String), id: String
  ) async throws -> Response {
    let progress = AnswerProgress(writers, choicesPerPrompt: fields.choices, metrics: metrics, record: record)
    let answer = Answer(
      generation: try Generation(sequences, on: engine), progress: progress,
      envelope: Envelope(id: id, object: object, model: fields.model ?? options.modelName),
      includesUsage: fields.includesUsage, server: self)
    return fields.isStreaming ? answer.streamed(for: request, record) : try await answer.whole(for: request)
  }
}
