import Foundation
import TestSupport
import Testing

@testable import WidebandTokenization

/// Every case of every fixture, token for token and byte for byte.
@Suite struct FixtureTests {
  @Test(arguments: Fixtures.families)
  func encode_equalsReference(family: String) throws {
    let tokenizer = try Fixtures.tokenizer(family)
    for item in try Fixtures.cases(family) {
      let ids = try tokenizer.encode(bytes: [UInt8](item.text), addingSpecialTokens: item.addsSpecialTokens ?? false)
      #expect(ids == item.ids, "\(String(decoding: item.text, as: UTF8.self).debugDescription)")
      let text = String(decoding: item.text, as: UTF8.self)
      #expect(try tokenizer.encode(text, addingSpecialTokens: item.addsSpecialTokens ?? false) == ids)
    }
  }

  @Test(arguments: Fixtures.families)
  func decode_equalsReference(family: String) throws {
    let tokenizer = try Fixtures.tokenizer(family)
    for item in try Fixtures.cases(family) {
      #expect(Data(try tokenizer.decode(item.ids).utf8) == item.decoded)
      if let skipped = item.skipped {
        #expect(Data(try tokenizer.decode(item.ids, skipSpecialTokens: true).utf8) == skipped)
      }
    }
  }

  @Test(arguments: Fixtures.families)
  func stream_equalsDecode(family: String) throws {
    let tokenizer = try Fixtures.tokenizer(family)
    for item in try Fixtures.cases(family) {
      var decoder = StreamDecoder(tokenizer)
      var text = ""
      for id in item.ids { text += try decoder.append(id) }
      text += decoder.finish()
      #expect(Data(text.utf8) == item.decoded)
    }
  }

  @Test func fixtures_areComplete() throws {
    #expect(Fixtures.families.count >= 18)
    for family in ["gpt2", "llama3", "qwen"] { #expect(try Fixtures.cases(family).count == 200) }
  }

  @Test func fingerprint_differs() throws {
    let fingerprints = try Fixtures.families.map { try Fixtures.tokenizer($0).fingerprint }
    #expect(Set(fingerprints).count == Fixtures.families.count)
  }
}
