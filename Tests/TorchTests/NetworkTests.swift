import Foundation
import TestSupport
import Testing
import WidebandTorch

@Suite struct NetworkTests {
  @Test func products() throws {
    let a = matrix([[1, 2], [3, 4]])
    let b = matrix([[5, 6], [7, 8]])
    try expect([19, 22, 43, 50], shape: [2, 2]) { a.matmul(b) }
    try expect([17, 23, 39, 53]) { a.linear(b) }
    try expect([19, 22, 43, 50]) { .einsum("ij,jk->ik", a, b) }
    #expect(Tensor.zeros([3, 1, 4, 5]).matmul(.zeros([2, 5, 6])).shape == [3, 2, 4, 6])
  }

  @Test func linearTakesTheInputsDType() throws {
    let y = try withTorch { vector(1, 2).to(.bfloat16).linear(matrix([[3, 4]])) }
    #expect(y.dtype == .bfloat16)
    try expect([11]) { y }
  }

  @Test func einsumEqualsMatmul() throws {
    let q = try random(2, 3, 4, 5)
    let k = try random(2, 6, 4, 5, seed: 2)
    let products = try withTorch { q.transposed(1, 2).matmul(k.transposed(1, 2).transposed()) }
    try expectEqual(try withTorch { .einsum("bqhd,bkhd->bhqk", q, k) }, products)
  }

  @Test(arguments: [false, true], [(4, 4), (4, 2), (6, 1)])
  func attentionEqualsItsFormula(causal: Bool, heads: (queries: Int, keys: Int)) throws {
    let (length, width) = (7, 8)
    let q = try random(2, heads.queries, length, width)
    let k = try random(2, heads.keys, length, width, seed: 2)
    let v = try random(2, heads.keys, length, width, seed: 3)
    let position = Tensor.range(0..<length)
    let past = try withTorch { position.unsqueezed(0) .<= position.unsqueezed(1) }
    let expected = try composedAttention(q, k, v, mask: causal ? past : nil)
    try expectEqual(try withTorch { .attention(q, k, v, causal: causal) }, expected, within: 2e-6)
    if causal { try expectEqual(try withTorch { .attention(q, k, v, mask: past) }, expected, within: 2e-6) }
  }

  @Test func attentionWithFewerQueriesThanKeys() throws {
    let q = try random(1, 4, 2, 8)
    let k = try random(1, 2, 5, 8, seed: 2)
    let v = try random(1, 2, 5, 8, seed: 3)
    let mask = Tensor([true, true, true, true, false, true, false, true, true, true], shape: [2, 5])
    let expected = try composedAttention(q, k, v, mask: mask)
    try expectEqual(try withTorch { .attention(q, k, v, mask: mask) }, expected, within: 2e-6)
  }

  @Test(arguments: [1, 2, 5], Kernels.allCases) func laterQueriesSeeEarlierKeys(length: Int, kernels: Kernels) throws {
    let q = try random(1, length, 4, 8)
    let k = try random(1, 5, 2, 8, seed: 2)
    let v = try random(1, 5, 2, 8, seed: 3)
    let (heads, past) = try withTorch {
      let position = Tensor.range(0..<5)
      let past = position.unsqueezed(0) .<= position.slice(0, (5 - length)...).unsqueezed(1)
      return ([q, k, v].map { $0.transposed(1, 2).contiguous() }, past)
    }
    let expected = try composedAttention(heads[0], heads[1], heads[2], mask: past)
    let found = try Kernels.$selected.withValue(kernels) { try withTorch { Tensor.causalAttention(q, k, v) } }
    try expectEqual(try withTorch { found.transposed(1, 2).contiguous() }, expected, within: 2e-6)
  }

  @Test func attentionGradients() throws {
    let inputs = try [random(1, 4, 5, 8), random(1, 2, 5, 8, seed: 2), random(1, 2, 5, 8, seed: 3)]
    let direction = try random(1, 4, 5, 8, seed: 4)
    let position = Tensor.range(0..<5)
    let past = try withTorch { position.unsqueezed(0) .<= position.unsqueezed(1) }
    let fused = try gradients(of: inputs) { (.attention($0[0], $0[1], $0[2], causal: true) * direction).sum() }
    let composed = try gradients(of: inputs) {
      try (composedAttention($0[0], $0[1], $0[2], mask: past) * direction).sum()
    }
    for (one, other) in zip(fused, composed) { try expectEqual(one, other, within: 1e-5) }
  }

  @Test func crossEntropy() throws {
    let logits = matrix([[0, 1, 2], [3, 0, 0], [1, 1, 1]])
    let rows = [
      log(exp(0.0) + exp(1) + exp(2)) - 2,
      log(exp(3.0) + 2),
      log(3.0),
    ]
    try expect([(rows[0] + rows[1] + rows[2]) / 3]) { logits.crossEntropy(integers(2, 1, 0)) }
    try expect([(rows[0] + rows[2]) / 2]) { logits.crossEntropy(integers(2, -100, 0)) }
  }

  @Test func crossEntropyGradientLeavesIgnoredRowsAlone() throws {
    let logits = matrix([[0, 1], [2, 3]])
    let gradient = try gradients(of: [logits]) { $0[0].crossEntropy(integers(-100, 1)) }[0]
    let p = 1 / (1 + exp(1.0))
    try expect([0, 0, p, -p]) { gradient }
  }

  @Test func crossEntropyInBfloat16IsComputedInFloat32() throws {
    let logits = try withTorch { try random(4, 50).to(.bfloat16) }
    let loss = try withTorch { logits.crossEntropy(integers(1, 2, 3, 4)) }
    #expect(loss.dtype == .float32)
    try expectEqual(loss, try withTorch { logits.to(.float32).crossEntropy(integers(1, 2, 3, 4)) }, within: 0)
  }
}

/// softmax(q kᵀ / √hd + mask) v with every key head repeated for its queries.
func composedAttention(_ q: Tensor, _ k: Tensor, _ v: Tensor, mask: Tensor?) throws -> Tensor {
  try withTorch {
    let shared = q.size(1) / k.size(1)
    func repeated(_ x: Tensor) -> Tensor {
      x.unsqueezed(2).expanded([-1, -1, shared, -1, -1]).flattened(1, 2)
    }
    var score = q.matmul(repeated(k).transposed()) / Double(q.size(-1)).squareRoot()
    if let mask { score = score.maskedFill(mask.not(), -.infinity) }
    return score.softmax(-1).matmul(repeated(v))
  }
}
