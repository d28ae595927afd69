// Everything public that a user of the library needs, in one import.
import WidebandCheckedInput
@_exported import WidebandCheckpoint
@_exported import WidebandData
@_exported import WidebandDecoding
@_exported import WidebandDistributed
@_exported import WidebandLanguageModel
@_exported import WidebandReporting
@_exported import WidebandServing
@_exported import WidebandStudy
@_exported import WidebandTokenization
@_exported import WidebandTorch
@_exported import WidebandTraining
@_exported import WidebandVerification
@_exported import WidebandVirtualWidth

/// Why a file or a value from outside cannot be used: one sentence that names it, the value found and what was expected.
public typealias InputError = WidebandCheckedInput.InputError

/// The id of a token: its index in the vocabulary, from 0.
public typealias TokenID = WidebandCheckedInput.TokenID

/// A JSON value in memory, such as the arguments of a tool's call.
public typealias JSONValue = WidebandCheckedInput.JSONValue

/// The members of a JSON object in their order.
public typealias JSONObject = WidebandCheckedInput.JSONObject
