import Foundation
import TestSupport
import Testing
import Wideband

@testable import WidebandStudy

struct StudyPlanTests {
  private func plan(_ text: String) throws -> StudyPlan {
    try StudyPlan(yaml: text, name: "plan.yaml", folder: "configs")
  }

  @Test("arms inherit what they do not say")
  func reading() throws {
    let plan = try plan(
      """
      question: Does width help?
      cost: 12
      recipe: a.yaml
      set: {sample.interval: 0, optimizer.clip: .inf}
      seeds: [1, 18446744073709551615]
      learning_rates: [1e-3, 0.01]
      baseline: plain
      arms:
        plain:
        wide:
          set: {model.virtual_width: {slots: 8, embedding: wide}, model.rope_theta: null}
          learning_rates: [0.5]
        tuned: {recipe: /b.yaml, from: wide, seeds: [1], cycles: [1, 2]}
      comparisons: [[tuned, wide]]
      fit: {arms: [plain, wide]}
      """)
    #expect(plan.question == "Does width help?" && plan.cost == "12" && plan.baseline == "plain")
    let common = ["sample.interval=0", "optimizer.clip=.inf"]
    #expect(
      plan.arms == [
        .init(
          name: "plain", recipe: "configs/a.yaml", changes: common, learningRates: [0.001, 0.01], seeds: [1, .max],
          start: nil, cycles: []),
        .init(
          name: "wide", recipe: "configs/a.yaml",
          changes: common + [#"model.virtual_width={"slots":8,"embedding":"wide"}"#, "model.rope_theta=null"],
          learningRates: [0.5], seeds: [1, .max], start: nil, cycles: []),
        .init(
          name: "tuned", recipe: "/b.yaml", changes: common, learningRates: [0.001, 0.01], seeds: [1], start: "wide",
          cycles: [1, 2]),
      ])
    #expect(plan.comparisons == [.init(arm: "tuned", reference: "wide")] && plan.fit == ["plain", "wide"])
    #expect(plan.depth(of: "plain") == 0 && plan.depth(of: "tuned") == 1)
  }

  private static let beginning = "question: q\nrecipe: r.yaml\nseeds: [1]\nbaseline: a\n"

  @Test(
    "bad plans are one sentence with the key, the value and what was expected",
    arguments: [
      ("arms: {a: {sett: {}}}", "there is no key 'arms.a.sett'; the nearest is 'arms.a.set'"),
      ("arm: {a: {}}", "there is no key 'arm'; the nearest is 'arms'"),
      ("fit: {arm: []}\narms: {a: {}}", "there is no key 'fit.arm'; the nearest is 'fit.arms'"),
      ("cost: x", "arms is missing"),
      ("arms: []", "arms is a list: expected an object"),
      ("arms: {}", "arms has 0: expected from 1 to 1000"),
      ("arms: {b: {}}", "baseline is 'a': expected the name of an arm"),
      ("arms: {../a: {}}", "arms has '../a': expected a name of at most 100 letters, digits, '-', '_' and '.'"),
      ("arms: {a: {seeds: []}}", "arms.a.seeds has 0 values: expected from 1 to 1000"),
      ("arms: {a: {seeds: [1, 1]}}", "arms.a.seeds[1] is 1: expected each value once"),
      ("arms: {a: {seeds: [-1]}}", "arms.a.seeds[0] is -1: expected an integer from 0 to 18446744073709551615"),
      ("arms: {a: {learning_rates: [0]}}", "arms.a.learning_rates[0] is 0: expected a number from 1.2e-38 to 3.4e+38"),
      ("arms: {a: {learning_rates: 1}}", "arms.a.learning_rates is 1: expected a list"),
      ("arms: {a: {set: {training.seed: 3}}}", "arms.a changes training.seed with set: expected the key seeds"),
      (
        "arms: {a: {learning_rates: [1], set: {optimizer.learning_rate: 3}}}",
        "arms.a changes optimizer.learning_rate with set: expected the key learning_rates alone"
      ),
      ("arms: {a: {}, b: {from: c}}", "arms.b.from is 'c': expected the name of an arm"),
      (
        "arms: {a: {}, b: {from: c}, c: {from: b}}",
        "arms.b.from is 'c': expected an arm that does not start from this one"
      ),
      (
        "arms: {a: {}, b: {from: a, seeds: [1, 2]}}",
        "arms.b.seeds has 2: expected seeds of a, from which its runs start"
      ),
      ("arms: {a: {cycles: [2]}}", "arms.a.cycles is given without from: expected the arm that is tuned"),
      ("arms: {a: {}, b: {from: a, cycles: [0]}}", "arms.b.cycles[0] is 0: expected a length from 1 to 1024"),
      ("arms: {a: {}}\ncomparisons: [[a]]", "comparisons[0] is a list: expected two arms, as in [wide, plain]"),
      ("arms: {a: {}}\ncomparisons: [[a, b]]", "comparisons[0][1] is 'b': expected the name of an arm"),
      ("arms: {a: {}}\nfit: {}", "fit.arms is missing"),
      ("arms: {a: [}", "line 5: malformed YAML: did not find expected node content"),
    ])
  func errors(rest: String, sentence: String) {
    let error = #expect(throws: InputError.self) { try plan(Self.beginning + rest) }
    #expect(error.map { "\($0)" } == "plan.yaml: \(sentence)")
  }

  @Test("a recipe's own errors name the arm")
  func recipeErrors() throws {
    let fixture = try StudyFixture()
    let beginning = "question: q\nrecipe: recipe.yaml\nseeds: [1]\nbaseline: a\n"
    let error = #expect(throws: InputError.self) {
      try fixture.study(beginning + "arms: {a: {}, b: {set: {training.stepz: 3}}}")
    }
    #expect(
      error.map { "\($0)" }
        == "plan.yaml: arm b: --set training.stepz=3: there is no key 'training.stepz'; the nearest "
        + "is 'training.steps'")
    let fit = #expect(throws: InputError.self) {
      try fixture.study(beginning + "arms: {a: {}, b: {}}\nfit: {arms: [a, b]}")
    }
    #expect(
      fit.map { "\($0)" }
        == "plan.yaml: fit.arms have one r = slots / fraction_rate, 2.0: expected arms of different r")
  }
}
