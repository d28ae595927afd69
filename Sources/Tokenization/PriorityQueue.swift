/// A binary heap that yields its least element first.
struct PriorityQueue<Element: Comparable> {
  private var heap: [Element] = []

  var isEmpty: Bool { heap.isEmpty }

  mutating func removeAll() {
    heap.removeAll(keepingCapacity: true)
  }

  mutating func push(_ element: Element) {
    heap.append(element)
    var child = heap.count - 1
    while child > 0 {
      let parent = (child - 1) / 2
      guard element < heap[parent] else { break }
      heap[child] = heap[parent]
      child = parent
    }
    heap[child] = element
  }

  mutating func pop() -> Element? {
    guard let least = heap.first, let element = heap.popLast() else { return nil }
    if heap.isEmpty { return least }
    var parent = 0
    while true {
      var child = 2 * parent + 1
      guard child < heap.count else { break }
      if child + 1 < heap.count, heap[child + 1] < heap[child] { child += 1 }
      guard heap[child] < element else { break }
      heap[parent] = heap[child]
      parent = child
    }
    heap[parent] = element
    return least
  }
}
