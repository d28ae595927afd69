import TestSupport
import Testing
import WidebandTorch
import WidebandVirtualWidth

@testable import WidebandLanguageModel

struct NGramMemoryTests {
  private static let widths: [VirtualWidth?] = [nil, VirtualWidth(fractionRate: 2, slots: 7)]

  private func configuration(_ width: VirtualWidth?, rows: Int = 97) -> ModelConfiguration {
    .small {
      $0.virtualWidth = width
      $0.ngramMemory = .init(orders: [2, 3], rows: rows)
      $0.endOfTextTokens = [5]
    }
  }

  /// A model whose tables and factors are not those of the start.
  private func model(_ width: VirtualWidth?) throws -> LanguageModel {
    let model = try LanguageModel(configuration(width), weights: WeightStore(seed: 3))
    try withTorch {
      for (name, tensor) in model.weights.tensors where name.contains("ngram") {
        tensor.copy(from: Tensor.range(0..<tensor.count).to(.float32).sin().reshaped(tensor.shape))
      }
    }
    return model
  }

  private func row(_ tokens: [Int64]) -> Tensor { Tensor(tokens, shape: [1, tokens.count]) }

  @Test(arguments: widths) func tablesOfZerosChangeNothing(_ width: VirtualWidth?) throws {
    var plain = configuration(width)
    plain.ngramMemory = nil
    let (with, without) = try (
      LanguageModel(configuration(width), weights: WeightStore(seed: 3)),
      LanguageModel(plain, weights: WeightStore(seed: 3))
    )
    let tokens = row([4, 9, 2, 60, 9, 2])
    let logits = try withTorch { withoutGradients { [with.logits(tokens), without.logits(tokens)] } }
    #expect(try logits[0].isIdentical(to: logits[1]))
    #expect(
      Set(with.weights.tensors.keys).subtracting(without.weights.tensors.keys).allSatisfy { $0.contains("ngram") })
  }

  @Test(arguments: widths) func documentsOfARowDoNotReachEachOther(_ width: VirtualWidth?) throws {
    let model = try model(width)
    let documents: [[Int64]] = [[4, 9, 2, 60], [9, 2, 8]]
    let packed = try withTorch {
      withoutGradients {
        let context = ForwardContext(
          positions: row([0, 1, 2, 3, 0, 1, 2]), documents: row([0, 0, 0, 0, 1, 1, 1]),
          configuration: model.configuration)
        return model.logits(of: model.trunk(row(documents.flatMap { $0 }), in: context))
      }
    }
    let alone = try withTorch { withoutGradients { documents.map { model.logits(row($0)) } } }
    #expect(try relativeError(of: packed.slice(1, 0..<4), to: alone[0]) < 1e-6)
    #expect(try relativeError(of: packed.slice(1, 4...), to: alone[1]) < 1e-6)
  }

  @Test("after an end of text, n-grams are those of the start of a row")
  func endOfText() throws {
    let model = try model(nil)
    func rows(_ tokens: [Int64]) throws -> Tensor {
      try withTorch {
        withoutGradients {
          let context = ForwardContext(length: tokens.count, configuration: model.configuration)
          _ = model.embedded(row(tokens), in: context)
          return context.memory ?? .zeros([0])
        }
      }
    }
    let after = try rows([7, 8, 5, 9, 10, 11]).slice(1, 3...)
    #expect(try after.isIdentical(to: try rows([9, 10, 11])))
    // Without the end of text between them, the tokens before matter.
    #expect(try !rows([7, 8, 6, 9, 10, 11]).slice(1, 3...).isIdentical(to: try rows([9, 10, 11])))
  }

  @Test(arguments: [
    (
      [2, 3], 61,
      "ngram_memory.rows is 61: expected a number without a common divisor with vocab_size, which is 61, such as 62"
    ),
    ([2, 9], 7, "ngram_memory.orders has 9: expected lengths of n-grams from 2 to 8"),
    ([2, 2], 7, "ngram_memory.orders is [2, 2]: expected ascending lengths of n-grams, such as [2, 3]"),
    ([], 7, "ngram_memory.orders is []: expected ascending lengths of n-grams, such as [2, 3]"),
    ([2], 0, "ngram_memory.rows is 0: expected an integer from 1 to 16777216"),
    (
      [2, 3, 4], 7,
      "ngram_memory.orders has 3 orders: expected at most 2, the number of groups of virtual_width.fraction_rate slots "
        + "after the first"
    ),
  ])
  func badMemoriesAreRefused(_ orders: [Int], _ rows: Int, _ sentence: String) {
    var configuration = configuration(VirtualWidth(fractionRate: 2, slots: 7))
    configuration.ngramMemory = .init(orders: orders, rows: rows)
    #expect(message { try configuration.validate() } == sentence)
  }
}
