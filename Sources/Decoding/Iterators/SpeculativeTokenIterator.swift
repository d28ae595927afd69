import WidebandCheckedInput
import WidebandTorch

/// Generates several tokens of one sequence a step by speculative sampling: a drafter proposes them, and the model
/// verifies them in one pass.
///
/// A draft x is accepted with probability min(1, p(x)/q(x)), where p is the model's distribution and q the one that x
/// was sampled from; the first that is rejected is replaced by a sample from max(0, p - q). The tokens have the same
/// distribution as samples from p, one by one; greedily they are the same tokens. Source: arXiv 2211.17192, section
/// 2.3.
final class SpeculativeTokenIterator: TokenIterator {
  private let drafter: any Drafter
  private let allowedTokens: AllowedTokens?
  private let contextLength: Int
  private var sampler: Sampler?
  private var last: TokenID = 0
  private var counts = DraftCounts()

  /// - Parameter allowedTokens: the tokens that may be sampled; nil for all.
  init(_ drafter: any Drafter, allowedTokens: AllowedTokens?, contextLength: Int) {
    (self.drafter, self.allowedTokens, self.contextLength) = (drafter, allowedTokens, contextLength)
  }

  var drafts: DraftCounts? { counts }
  var reusedTokenCount: Int { 0 }

  func begin(_ prompt: [TokenID], sampler: Sampler, check: () throws -> Void) throws -> [TokenID] {
    self.sampler = sampler
    counts = DraftCounts()
    drafter.truncate(to: 0)
    let logits = try drafter.session.prefill(prompt, check: check)
    last = try sampler.sample(
      from: sampler.distribution(logits, among: allowedTokens, after: drafter.session.tokens))
    return [last]
  }

  func next() throws -> [TokenID] {
    guard let sampler else {
      throw GenerationError.invalidCall("the iterator has no prompt: expected begin before next")
    }
    let before = drafter.session.tokens + [last]
    func distribution(_ logits: Tensor, after drafts: [TokenID]) throws -> Tensor {
      try sampler.distribution(logits, among: allowedTokens, after: before + drafts)
    }
    let count = max(0, min(drafter.limit, contextLength - before.count))
    var drafts: [Draft] = []
    let tokens = try drafter.propose(count, after: last) { logits, earlier in
      let distribution = try distribution(logits, after: earlier)
      drafts.append(Draft(token: try sampler.sample(from: distribution), distribution: distribution))
      return drafts[drafts.count - 1].token
    }
    let logits = try DecodingSession.verify([[last] + tokens], of: [drafter.session])
    let (accepted, following) = try sampler.verify(drafts) { index in
      try distribution(withTorch { logits.select(0, index) }, after: Array(tokens[..<index]))
    }
    counts.add(proposed: drafts.count, accepted: accepted)
    drafter.truncate(to: before.count + accepted)
    last = following
    return tokens[..<accepted] + [last]
  }
}
