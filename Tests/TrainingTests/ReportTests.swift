import Foundation
import Testing

@testable import WidebandReporting
@testable import WidebandTraining

@Suite struct ReportTests {
  private func run(_ name: String, _ final: Double) -> Report.Run {
    var run = Report.Run(name: name)
    run.trainingLoss = (1...600).map { ($0, final + 5 * exp(-Double($0) / 60)) }
    run.validationBitsPerByte = stride(from: 100, through: 600, by: 100).map {
      ($0, final / 2 + exp(-Double($0) / 100))
    }
    run.validationLoss = final
    run.parameters = 1_234_567
    run.tokensPerSecond = 9876.4
    run.peakMemory = 1_250_000_000
    run.samples = [("In <the>", " beginning & \"so\" on")]
    run.configuration = [("model.width", name), ("training.steps", "600")]
    return run
  }

  private var html: String {
    Report(title: "Plain & wide", summary: ["Two runs."], runs: [run("plain", 4.2), run("wide <8>", 4.1)]).html()
  }

  @Test func textFromOutsideIsEscaped() {
    #expect(html.contains("<title>Plain &amp; wide</title>"))
    #expect(html.contains("<blockquote><b>In &lt;the&gt;</b> beginning &amp; &quot;so&quot; on</blockquote>"))
    #expect(html.contains("wide &lt;8&gt;") && !html.contains("wide <8>"))
  }

  @Test("a report loads no other files") func report_selfContained() {
    for word in ["http", "src=", "@import", "<link", "<script"] { #expect(!html.contains(word)) }
  }

  @Test func theTableComparesWithTheFirst() {
    #expect(
      html.contains(
        "<td>2.1025</td><td>–</td><td>4.2000</td><td>1\u{202F}234\u{202F}567</td><td>9\u{202F}876</td><td>1.25\u{202F}GB</td>"
      ))
    #expect(html.contains("<td>2.0525</td><td>−0.0500</td><td>4.1000</td>"))
  }

  @Test func curvesHaveWordsAndNumbers() {
    #expect(html.contains("plain goes from 2.468 at step 100 to 2.102 at step 600."))
    #expect(html.contains("<th scope=\"row\">600</th><td>2.1025</td><td>2.0525</td>"))
    #expect(html.contains(">bits per byte</text>") && html.contains(">loss, nats per token</text>"))
  }

  @Test("rows in which runs differ are highlighted") func configuration_differences() {
    #expect(html.contains("<tr class=\"differs\"><th scope=\"row\"><code>model.width</code>"))
    #expect(html.contains("<tr><th scope=\"row\"><code>training.steps</code></th><td>600</td><td>600</td></tr>"))
  }

  @Test func itIsWellFormed() {
    // Every element is closed in order, except for void elements.
    var open: [Substring] = []
    for match in html.matches(of: /<(\/?)([a-zA-Z0-9]+)((?:[^>"]|"[^"]*")*)>/) {
      let name = match.2
      if ["meta", "br"].contains(name.lowercased()) || match.3.hasSuffix("/") { continue }
      if match.1.isEmpty { open.append(name) } else { #expect(open.popLast() == name) }
    }
    #expect(open.isEmpty)
    let names = html.matches(of: /\sid="([^"]*)"/).map { $0.1 }
    #expect(names.count == 4 && Set(names).count == 4)
  }

  @Test func runsWithoutResultsAreShown() {
    var broken = Report.Run(name: "broken")
    broken.trainingLoss = [(1, .nan), (2, .infinity)]
    let html = Report(title: "None", runs: [broken]).html()
    #expect(!html.contains("nan") && !html.contains("<figure>"))
    #expect(html.contains("broken</th><td>–</td>"))
    #expect(Report(title: "Empty", runs: []).html().contains("<h1>Empty</h1>"))
  }

  @Test func smoothingAveragesNeighbors() {
    let noisy = (0..<1200).map { (step: $0, value: $0.isMultiple(of: 2) ? 1.0 : 3.0) }
    let smooth = ReportChart.smoothed(noisy)
    #expect(smooth.count == 120 && smooth.allSatisfy { $0.value == 2 })
    #expect(ReportChart.smoothed(Array(noisy.prefix(7))).elementsEqual(noisy.prefix(7), by: ==))
  }

  @Test func ticksAreRound() {
    let axis = ReportAxis(2.13, 3.87, roundsUp: true)
    #expect(axis.ticks.map(axis.label) == ["2.0", "2.5", "3.0", "3.5", "4.0"])
    #expect(ReportAxis(0, 600, roundsUp: false).ticks == [0, 200, 400, 600])
    #expect(ReportAxis(0, 3, roundsUp: false).ticks == [0, 1, 2, 3])
    #expect(ReportAxis(1, 1, roundsUp: true).position(1) < 1)
  }
}
