import LanguageModel
import Torch

/// How tokens are proposed that the model then verifies in one pass.
public enum Drafter: String, Sendable, CaseIterable {
  /// By the model's multi-token prediction: as many tokens as it has depths. What is verified is the ordinary model.
  case prediction
  /// By direct decoding: the tokens behind a cycle head. What is verified is the model with its gate open everywhere,
  /// as with a cycle of one token; where the gate selects, that is the ordinary model.
  case direct
}

/// A proposed token, and the distribution `[V]` from which it was drawn.
struct Draft {
  let token: Int
  let distribution: Tensor
}

/// A text whose model proposes several tokens cheaply and verifies them in one pass.
protocol DraftingText: AnyObject {
  /// All verified tokens that were read.
  var tokens: [Int] { get }
  /// The most tokens that can be proposed at once.
  var limit: Int { get }
  /// Reads a prompt and gives the logits `[V]` of the token that follows it.
  func read(_ prompt: [Int], check: () throws -> Void) throws -> Tensor
  /// Proposes up to `count` tokens behind `next`, which was chosen but not read yet.
  ///
  /// - Parameter draw: makes a draft of logits `[V]`, and of the drafts before it.
  func propose(_ count: Int, after next: Int, draw: (Tensor, [Draft]) throws -> Draft) throws -> [Draft]
  /// Reads tokens and gives the logits of the token behind each of them, `[tokens, V]`.
  func verify(_ new: [Int]) throws -> Tensor
  /// Forgets all tokens from `count` on, which were not accepted.
  func keep(_ count: Int)
}

/// Drafts by direct decoding.
///
/// All verified tokens were read with the gate open, so that the last of them is a cycle head. What is proposed goes
/// through the encoding and decoding layers alone and is forgotten again before it is verified.
final class DirectDrafting: DraftingText {
  private let session: DirectDecodingSession

  init(
    _ model: LanguageModel, cycle: Int?, keyValueForm: KeyValueCache.Form? = nil, capacity: Int = 64
  ) throws {
    session = try DirectDecodingSession(model, cycle: cycle, keyValueForm: keyValueForm, capacity: capacity)
    guard session.cycle >= 2 else {
      throw GenerationError("cycle is \(session.cycle): expected at least 2 to draft by direct decoding")
    }
  }

  var tokens: [Int] { session.tokens }
  var limit: Int { session.cycle - 1 }

  func read(_ prompt: [Int], check: () throws -> Void) throws -> Tensor { try session.read(prompt, check: check) }

  func propose(_ count: Int, after next: Int, draw: (Tensor, [Draft]) throws -> Draft) throws -> [Draft] {
    let start = session.tokens.count
    defer { session.truncate(to: start) }
    var drafts: [Draft] = []
    while drafts.count < count {
      let logits = try session.replay([drafts.last?.token ?? next], phases: [drafts.count + 1])
      drafts.append(try draw(logits, drafts))
    }
    return drafts
  }

  func verify(_ new: [Int]) throws -> Tensor {
    let phases = new.map { _ in CycleGate.promptPhase }
    let parts = try session.advance(new, phases: phases, everyToken: true)
    return try withTorch { .concatenate(parts) }
  }

  func keep(_ count: Int) { session.truncate(to: count) }
}
