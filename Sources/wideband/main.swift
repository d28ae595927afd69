import WidebandCLI

CommandLineTool.run()
