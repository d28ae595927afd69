import Wideband

extension ModelConfiguration {
  /// The shape of the model, for tables.
  var rows: [(key: String, value: String)] {
    var rows = [
      ("layers", "\(layerCount)"), ("backbone width D", "\(hiddenSize)"), ("heads", "\(headCount) of \(headSize)"),
      ("vocabulary", "\(vocabularySize)"),
    ]
    if let width = virtualWidth {
      rows.append(("virtual width", "(m, n) = (\(width.fractionRate), \(width.slots)), r = \(width.factor)"))
      rows.append(("embedding", width.embedding.rawValue))
    } else {
      rows.append(("virtual width", "none: residual connections"))
    }
    return rows.map { (key: $0.0, value: $0.1) }
  }
}
