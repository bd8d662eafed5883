"""Sound notebooks in many styles: the rehearsal must let every one of them pass."""

from dataclasses import dataclass

from tests.fault_bases import BOWL, KIDNEY, SCRIPT


@dataclass(frozen=True)
class Sound:
    """One sound notebook: its style in a few words, its code, the odd tests that it passes too."""

    what: str
    code: str
    test: tuple[str, ...] = ()
    limits: tuple[tuple[str, float], ...] = ()


def _with(base: str, *changes: tuple[str, str]) -> str:
    for old, new in changes:
        if base.count(old) != 1:
            raise ValueError(f"{old!r} stands {base.count(old)} times in it")
        base = base.replace(old, new)
    return base


_BEGIN = "import csv, glob, os, sys\n"
_WRITE = (
    'with open("submission.csv", "w", newline="") as file:\n'
    '    csv.writer(file).writerows([("ImageId", "EncodedPixels"), *rows])\n'
)
_LOOP = BOWL.partition("rows = []\n")[2].partition("#%%")[0]
_ODD = ("hidden, tiny", "hidden, empty", "hidden, long", "hidden, 16-bit")

_FUNCTIONS = BOWL.replace(
    "#%%\nrows = []\n" + _LOOP + "#%%\n" + _WRITE,
    """#%%
class Submission:
    def __init__(self):
        self.rows = []

    def add(self, path):
        self.rows.append((os.path.basename(path)[:-4], encode(predict(read(path)))))

    def save(self, name="submission.csv"):
        with open(name, "w", newline="") as file:
            csv.writer(file).writerows([("ImageId", "EncodedPixels"), *self.rows])

def main():
    found = Submission()
    for path in sorted(glob.glob(f"{ROOT}/stage1_test/*/images/*.png")):
        found.add(path)
    found.save()

if __name__ == "__main__":
    main()
""",
)
_WALK = 'paths = sorted(glob.glob(f"{ROOT}/stage1_test/*/images/*.png"))\n'

SOUND = (
    Sound("a loop over what glob finds, the odd tests too", BOWL, _ODD),
    Sound("pandas and the sample submission", KIDNEY),
    Sound("a script", SCRIPT),
    Sound("functions and a class under __main__", _FUNCTIONS),
    Sound("the same as a script", _FUNCTIONS.replace("#%%\n", "")),
    Sound("pathlib", _with(BOWL, (_WALK, "from pathlib import Path\npaths = [str(p) for p in Path(ROOT).rglob('stage1_test/*/images/*.png')]\n"))),
    Sound("os.walk", _with(BOWL, (_WALK, "paths = [os.path.join(d, f) for d, _, files in os.walk(ROOT + '/stage1_test') for f in files]\n"))),
    Sound("an all-empty file first, the real one at its end", _with(BOWL, ("rows = []\n", "ids = os.listdir(f'{ROOT}/stage1_test')\nwith open('submission.csv', 'w') as file:\n    file.write('ImageId,EncodedPixels\\n' + ''.join(f'{i},\\n' for i in ids))\nrows = []\n"))),
    Sound("written beside and renamed", _with(BOWL, (_WRITE, _WRITE.replace("submission.csv", "partial.csv") + "os.replace('partial.csv', 'submission.csv')\n"))),
    Sound("threads", _with(BOWL, (_LOOP, "from concurrent.futures import ThreadPoolExecutor\n" + _WALK + "with ThreadPoolExecutor(2) as pool:\n    rows = list(pool.map(lambda p: (os.path.basename(p)[:-4], encode(predict(read(p)))), paths))\n"))),
    Sound("processes", _with(BOWL, (_LOOP, "from multiprocessing import get_context\n" + _WALK + "def one(p):\n    return os.path.basename(p)[:-4], encode(predict(read(p)))\nwith get_context('fork').Pool(2) as pool:\n    rows = pool.map(one, paths)\n"))),
    Sound("magics and a shell line", _with(BOWL, (_BEGIN, "!echo begin\n%env MODE=submit\n" + _BEGIN))),
    Sound("warnings and words on standard error", _with(BOWL, (_WRITE, _WRITE + "import warnings\nwarnings.warn('low contrast')\nprint('done', file=sys.stderr)\n"))),
    Sound("another way only in the rerun", _with(BOWL, (_WALK, _WALK + "if os.environ.get('KAGGLE_IS_COMPETITION_RERUN'):\n    print(len(paths), 'hidden images')\nelse:\n    paths = paths[:1]\n"))),
    Sound("relative paths from /kaggle/working", _with(BOWL, ('ROOT = "/kaggle/input/competitions/data-science-bowl-2018"', 'ROOT = "../input/competitions/data-science-bowl-2018"'))),
    Sound("rows in another order, blank lines of text between", _with(BOWL, (_WRITE, "rows = rows[::-1]\n" + _WRITE))),
    Sound("masks rotated in and out", _with(BOWL, ("    mask = predict(rgb)\n", "    mask = np.rot90(predict(np.rot90(rgb)), -1)\n"))),
    Sound("half size in, full size out", _with(BOWL, ("    mask = predict(rgb)\n", "    small = predict(rgb[::2, ::2])\n    mask = small.repeat(2, 0).repeat(2, 1)[:rgb.shape[0], :rgb.shape[1]]\n"))),
    Sound("windows that are put together", _with(BOWL, ("    mask = predict(rgb)\n", "    mask = np.zeros(rgb.shape[:2], bool)\n    level = (rgb.mean(axis=2).min() + rgb.mean(axis=2).max()) / 2\n    whole = predict(rgb)\n    for y in range(0, rgb.shape[0], 32):\n        for x in range(0, rgb.shape[1], 32):\n            mask[y:y + 32, x:x + 32] = whole[y:y + 32, x:x + 32]\n"))),
    Sound("one image that fails becomes an empty row", _with(BOWL, ("    rgb = read(path)\n    mask = predict(rgb)\n    text = encode(mask)\n", "    try:\n        text = encode(predict(read(path)))\n        if len(rows) == 1:\n            raise OSError('damaged')\n    except OSError as error:\n        print(image_id, error)\n        text = ''\n"))),
    Sound("an end by sys.exit(0)", BOWL + "#%%\nsys.exit(0)\n#%%\nraise ValueError('never reached')\n"),
    Sound("no work before the rerun", _with(BOWL, ("    text = encode(mask)\n", "    text = encode(mask) if os.environ.get('KAGGLE_IS_COMPETITION_RERUN') else ''\n"))),
    Sound("memory that is freed, under a limit", _with(BOWL, ("    text = encode(mask)\n", "    buffer = np.ones((200, 1_000_000), np.uint8); del buffer\n    text = encode(mask)\n")), limits=(("memory", 6e8), ("seconds", 32400), ("disk", 20e9))),
    Sound("many files beside the submission", _with(KIDNEY, ('    texts[image_id] = encode(dark)\n', "    texts[image_id] = encode(dark)\n    np.save(f'{image_id}.npy', dark)\n")), limits=(("disk", 1e8),)),
)  # fmt: skip
