"""The trained network for use elsewhere: as ONNX and PT2 files, with the papers that go with it."""
