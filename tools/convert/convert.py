"""Exports a Paddle inference folder as <target>/model.onnx and shows that both give the same numbers and texts.

Takes the dictionary from inference.yml, where there is one and none is named, to <target>/labels.txt.
"""

import argparse
import contextlib
import os
import sys
from pathlib import Path

os.environ.setdefault("GLOG_minloglevel", "2")

import numpy as np
import onnx
import onnxruntime
import yaml

OPSET = 13
# Of scores from 0 to 1, or relative to the largest where they are greater: float32 sums in another order differ by 1e-6.
TOLERANCE = 1e-3
SEED = 1
RECIPE_OUTPUT = "softmax_12.tmp_0"


def main():
    options = arguments()
    model = options.folder / "inference.json"
    if not model.exists():
        model = options.folder / "inference.pdmodel"
    weights = options.folder / "inference.pdiparams"
    for file in (model, weights):
        if not file.is_file():
            refuse(f"there is no {file}; expected inference.json or inference.pdmodel, and inference.pdiparams")
    options.target.mkdir(parents=True, exist_ok=True)
    labels = dictionary(options)
    target = options.target / "model.onnx"
    export(model, weights, target)
    graph = onnx.load(target)
    opset = next(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))
    raised = "" if opset == OPSET else f" (the model has operators that opset {OPSET} does not know)"
    say(f"{model} -> ONNX opset {opset}{raised}, {target.stat().st_size / 1e6:.1f} MB")
    index = output_index([output.name for output in graph.graph.output], options.output)
    compare(model, weights, target, Reading(index, options.role, labels))


def arguments():
    parser = argparse.ArgumentParser(prog="convert.py", description=__doc__)
    parser.add_argument("folder", type=Path, help="with inference.json or inference.pdmodel, and inference.pdiparams")
    parser.add_argument("target", type=Path, help="folder for model.onnx and labels.txt")
    parser.add_argument("--labels", type=Path, help="dictionary, one character a line")
    parser.add_argument("--role", choices=["recognize", "detect"], help="default: by the shape of the output")
    parser.add_argument("--output", help="name of the output to read, where there are several")
    return parser.parse_args()


def dictionary(options):
    """The characters of classes 1 and on; None where nothing says them."""
    if options.labels:
        return options.labels.read_text(encoding="utf-8").rstrip("\n").split("\n")
    described = options.folder / "inference.yml"
    if options.role == "detect" or not described.is_file():
        return None
    content = yaml.safe_load(described.read_text(encoding="utf-8")) or {}
    characters = (content.get("PostProcess") or {}).get("character_dict")
    if not characters:
        return None
    labels = [str(character) for character in characters]
    (options.target / "labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")
    say(f"dictionary of {len(labels)} characters from {described}")
    return labels


def export(model, weights, target):
    # The exporter writes its notes to stdout, which is kept for the import's answer.
    with contextlib.redirect_stdout(sys.stderr):
        import paddle2onnx

        try:
            paddle2onnx.export(str(model), str(weights), str(target), opset_version=OPSET, auto_upgrade_opset=True)
        except Exception as error:
            refuse(f"paddle2onnx could not convert {model}: {error}. Export the model for inference again with PaddleOCR")
    if not target.is_file():
        refuse(f"paddle2onnx wrote nothing for {model}; its notes above say which operator it does not know")


def output_index(names, wanted):
    """The output that is read: the named one, the only one, or the recipe's."""
    if wanted is not None:
        if wanted not in names:
            refuse(f"there is no output {wanted}; --output expects one of {', '.join(names)}")
        return names.index(wanted)
    if len(names) == 1:
        return 0
    if RECIPE_OUTPUT in names:
        return names.index(RECIPE_OUTPUT)
    refuse(f"the model has the outputs {', '.join(names)}; name the one to read by --output")


class Reading:
    """How the output `index` is understood."""

    def __init__(self, index, role, labels):
        self.index, self.role, self.labels = index, role, labels

    def texts(self, outputs):
        """CTC: the best class of each step, repeats once, without the blank; None for a detector's map."""
        scores = outputs[self.index]
        if self.role == "detect" or scores.ndim != 3:
            return None
        best = scores.argmax(axis=2)
        return [self.spell(row[np.insert(row[1:] != row[:-1], 0, True) & (row != 0)]) for row in best]

    def spell(self, classes):
        if self.labels is None:
            return " ".join(str(index) for index in classes)
        # The class behind the dictionary is the space.
        return "".join(self.labels[index - 1] if index <= len(self.labels) else " " for index in classes)


def compare(model, weights, target, reading):
    session = onnxruntime.InferenceSession(str(target), providers=["CPUExecutionProvider"])
    predict = paddle_model(model, weights)
    largest, count = 0.0, 0
    for inputs in seeded_inputs(session.get_inputs()):
        expected, got = predict(inputs), session.run(None, inputs)
        differences = [difference(*pair) for pair in zip(expected, got, strict=True)]
        # Not max(): that passes over NaN.
        largest = float(np.max([largest, *differences]))
        if not largest <= TOLERANCE:
            refuse(f"ONNX Runtime and Paddle differ by {largest:.2g} (at most {TOLERANCE:g}); nothing is imported, use another export")
        texts = reading.texts(expected)
        if texts != reading.texts(got):
            refuse(f"ONNX Runtime and Paddle read other texts, {reading.texts(got)} for {texts}; nothing is imported")
        count += len(texts or [])
    read = f"{count} of {count} texts equal" if count else "no texts to compare (not a recogniser's output)"
    say(f"Paddle and ONNX Runtime on seeded inputs: largest difference {largest:.2g}, {read}")


def paddle_model(model, weights):
    from paddle import inference

    config = inference.Config(str(model), str(weights))
    config.disable_gpu()
    config.disable_glog_info()
    predictor = inference.create_predictor(config)

    def predict(inputs):
        names = predictor.get_input_names()
        for name, value in zip(names, inputs.values(), strict=True):
            handle = predictor.get_input_handle(name)
            handle.reshape(value.shape)
            handle.copy_from_cpu(value)
        predictor.run()
        return [predictor.get_output_handle(name).copy_to_cpu() for name in predictor.get_output_names()]

    return predict


def seeded_inputs(inputs):
    """Two batches of noise as images come, from -1 to 1; what the model leaves open is filled in."""
    random = np.random.default_rng(SEED)
    for batch, height, width in ((1, 48, 320), (3, 96, 192)):
        opens = (batch, 3, height, width)
        shapes = {entry.name: [size if isinstance(size, int) else opens[i] for i, size in enumerate(entry.shape)] for entry in inputs}
        yield {name: random.uniform(-1, 1, shape).astype(np.float32) for name, shape in shapes.items()}


def difference(expected, got):
    """The largest, relative to the largest value above 1; NaN for outputs that are no numbers."""
    if expected.shape != got.shape:
        refuse(f"ONNX Runtime gives {list(got.shape)}, Paddle {list(expected.shape)}; nothing is imported")
    return float(np.abs(expected - got).max() / max(1.0, np.abs(expected).max()))


def say(text):
    print(f"convert: {text}", file=sys.stderr)


def refuse(text):
    sys.exit(f"convert: {text}.")


if __name__ == "__main__":
    main()
