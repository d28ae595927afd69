import LanguageModel
import Torch

/// Where generated tokens come from: one at a time, or several that were drafted and verified.
protocol TokenSource: AnyObject {
  /// Reads a prompt and chooses what follows it: at least one token.
  func begin(_ prompt: [Int], check: () throws -> Void) throws -> [Int]
  /// Chooses what follows the tokens chosen so far: at least one token.
  func proceed() throws -> [Int]
  /// How drafts fared; nil where there are none.
  var drafts: DraftCounts? { get }
  /// Tokens of the prompt that had been read before.
  var reusedTokenCount: Int { get }
}

/// How many drafts were accepted.
public struct DraftCounts: Hashable, Sendable {
  /// Passes in which a draft was verified at each place, the first one behind a verified token first.
  public internal(set) var proposed: [Int] = []
  /// In how many of them it was accepted, together with all before it.
  public internal(set) var accepted: [Int] = []
  /// Passes of the whole model behind the prompt.
  public internal(set) var passes = 0

  mutating func add(proposed count: Int, accepted hits: Int) {
    passes += 1
    for place in 0..<count {
      if place == proposed.count {
        proposed.append(0)
        accepted.append(0)
      }
      proposed[place] += 1
      if place < hits { accepted[place] += 1 }
    }
  }
}

/// Drafts, and what the model makes of them in one pass.
///
/// A draft x is accepted with probability min(1, p(x)/q(x)), p being what the model says and q what it was drawn from;
/// the first that is not gives way to a token drawn from max(0, p - q). What comes out is distributed as if it had been
/// drawn from p, token by token; greedily, it is the same text. Source: arXiv 2211.17192, section 2.3.
final class DraftedTokens: TokenSource {
  private let text: any DraftingText
  private let sampler: Sampler
  private let choices: AllowedTokens?
  private let contextLength: Int
  private var next = 0
  private var counts = DraftCounts()

  /// - Parameter choices: the tokens that may be chosen; nil for all.
  init(_ text: any DraftingText, _ sampler: Sampler, choices: AllowedTokens?, contextLength: Int) {
    self.text = text
    self.sampler = sampler
    self.choices = choices
    self.contextLength = contextLength
  }

  var drafts: DraftCounts? { counts }
  var reusedTokenCount: Int { 0 }

  func begin(_ prompt: [Int], check: () throws -> Void) throws -> [Int] {
    let logits = try text.read(prompt, check: check)
    next = try sampler.draw(from: distribution(logits, after: text.tokens))
    return [next]
  }

  func proceed() throws -> [Int] {
    let before = text.tokens + [next]
    let count = max(0, min(text.limit, contextLength - before.count))
    let drafts = try text.propose(count, after: next) { logits, earlier in
      let distribution = try distribution(logits, after: before + earlier.map(\.token))
      return Draft(token: try sampler.draw(from: distribution), distribution: distribution)
    }
    let logits = try text.verify([next] + drafts.map(\.token))
    let (accepted, following) = try sampler.verify(drafts) { place in
      let row = try withTorch { logits.select(0, place) }
      return try distribution(row, after: before + drafts[..<place].map(\.token))
    }
    counts.add(proposed: drafts.count, accepted: accepted)
    text.keep(before.count + accepted)
    next = following
    return drafts[..<accepted].map(\.token) + [next]
  }

  private func distribution(_ logits: Tensor, after tokens: [Int]) throws -> Tensor {
    try sampler.distribution(logits, among: choices, after: tokens)
  }
}
