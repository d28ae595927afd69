import KernelInternals
import Testing

/// Threads that take part in jobs, and when they sleep.
@Suite struct WorkersTests {
  @Test(arguments: [2, 3, 5] as [Int32]) func eachPartIsDoneOnce(threads: Int32) {
    #expect(ki_wrongly_done(threads, 2000, 0, 0) == 0)
  }

  @Test(arguments: [2, 4] as [Int32]) func partsOfSlowWorkersAreWaitedFor(threads: Int32) {
    #expect(ki_wrongly_done(threads, 40, 3, 300) == 0)
  }

  @Test func workersThatComeLateTakeNoPart() { #expect(ki_wrongly_done_among(3, 2, 150_000) == 0) }

  @Test func twoCallersAtATime() { #expect(ki_wrongly_done_by_two(3, 1000) == 0) }

  private func isContended(_ shares: [Double]) -> Bool { ki_are_cores_contended_after(shares, Int32(shares.count)) }

  @Test func coresAreSharedAfterLooksThatAgree() {
    #expect(!isContended([]))
    #expect(!isContended(Array(repeating: 0.01, count: 100)))
    // One moment of another process is none of lasting.
    #expect(!isContended([0.01, 0.01, 1, 0.01, 0.01]))
    #expect(isContended(Array(repeating: 0.6, count: 8)))
  }

  @Test func sharingEndsLaterThanItBegins() {
    let shared = Array(repeating: 0.6, count: 40)
    #expect(isContended(shared + [0.01, 0.01]))
    #expect(isContended(shared + Array(repeating: 0.2, count: 40)))
    #expect(!isContended(Array(repeating: 0.2, count: 40)))
    #expect(!isContended(shared + Array(repeating: 0.01, count: 40)))
  }
}
