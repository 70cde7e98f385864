"""Makes <target>/<case>: a tiny seeded Paddle recogniser, pictures, and the texts that Paddle itself reads on them.

FLAGS_enable_pir_api=0 gives the format of Paddle 2. Usage: make_models.py <target> <case> <height> <width, 0: open>
"""

import json
import sys
from pathlib import Path

import numpy as np
import paddle
from paddle import inference, nn

# Of a script that uses no spaces, so that none are restored.
LABELS = "一二三四五六七八九十"
PICTURE_WIDTH = 256


class Recognizer(nn.Layer):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv2D(3, 8, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2D(8)
        self.second = nn.Conv2D(8, 16, 3, stride=2, padding=1)
        self.classes = nn.Linear(16, len(LABELS) + 2)

    def forward(self, x):
        x = nn.functional.hardswish(self.norm(self.first(x)))
        x = nn.functional.hardswish(self.second(x)).mean(axis=2).transpose([0, 2, 1])
        # Sure of itself, so that the texts have many characters.
        return nn.functional.softmax(self.classes(x) * 40, axis=-1)


def pictures(height):
    """RGB, of the width that the model takes, in blocks of colours: nothing is resized or padded."""
    random = np.random.default_rng(7)
    blocks = random.integers(0, 256, (4, 4, 16, 3), dtype=np.uint8)
    return blocks.repeat(height // 4, axis=1).repeat(PICTURE_WIDTH // 16, axis=2)


def read(folder, images):
    model = next(file for name in ("inference.json", "inference.pdmodel") if (file := folder / name).exists())
    predictor = inference.create_predictor(inference.Config(str(model), str(folder / "inference.pdiparams")))
    handle = predictor.get_input_handle(predictor.get_input_names()[0])
    # BGR, channels first, from -1 to 1: as PaddleOCR prepares a line.
    handle.copy_from_cpu(np.ascontiguousarray(images[..., ::-1].transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1))
    predictor.run()
    scores = predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()
    return [spell(row) for row in scores.argmax(axis=2)]


def spell(steps):
    kept = [step for i, step in enumerate(steps) if step != 0 and (i == 0 or step != steps[i - 1])]
    return "".join((LABELS + " ")[step - 1] for step in kept)


target, case, height, width = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
folder = target / case
folder.mkdir(parents=True)
paddle.seed(1)
model = Recognizer()
model.eval()
shape = [None, 3, height, width or None]
paddle.jit.save(model, str(folder / "inference"), input_spec=[paddle.static.InputSpec(shape, "float32", name="x")])
images = pictures(height)
(folder / "keys.txt").write_text("".join(f"{label}\n" for label in LABELS), encoding="utf-8")
listed = "".join(f"  - {label}\n" for label in LABELS)
(folder / "inference.yml").write_text(f"PostProcess:\n  name: CTCLabelDecode\n  character_dict:\n{listed}", encoding="utf-8")
(folder / "pictures.raw").write_bytes(images.tobytes())
expected = {"width": PICTURE_WIDTH, "height": height, "texts": read(folder, images)}
(folder / "expected.json").write_text(json.dumps(expected), encoding="utf-8")
