"""The fault catalogue: what is planted in which notebook, and what the rehearsal must say of it."""

from dataclasses import dataclass

from kagglekit.rehearsal.judge import EXCEEDED, THREW, TIMEOUT, WRONG_ORDER
from kagglekit.submission.check import NOT_FOUND, SCORING_ERROR


@dataclass(frozen=True)
class Fault:
    """One planted fault.

    Attributes:
        what: the fault in a few words.
        old: what stands in the sound notebook, once.
        new: what stands there instead.
        says: what Kaggle would say.
        cause: what the rehearsal's cause must hold, besides.
        test: the pass that fails; those before it must pass.
        base: name of the notebook in `tests.fault_bases`.
        limits: of the run, as `Limits` has them.
    """

    what: str
    old: str
    new: str
    says: str
    cause: str
    test: str = "visible"
    base: str = "BOWL"
    limits: tuple[tuple[str, float], ...] = ()


HIDDEN, TINY, EMPTY, LONG, DEEP = (
    "hidden",
    "hidden, tiny",
    "hidden, empty",
    "hidden, long",
    "hidden, 16-bit",
)
BEGIN, LOOP, TEXT, ROW, WRITE = (
    "import csv, glob, os, sys\n",
    "    rgb = read(path)\n",
    "    text = encode(mask)\n",
    "    rows.append((image_id, text))\n",
    'with open("submission.csv", "w", newline="") as file:\n'
    '    csv.writer(file).writerows([("ImageId", "EncodedPixels"), *rows])\n',
)
FETCH = "import urllib.request; urllib.request.urlopen('https://example.com/w.npy')"

NETWORK = (
    Fault("a download when the notebook begins", BEGIN, BEGIN + FETCH + "\n", THREW, "it tried to reach example.com"),
    Fault("a download for each image", LOOP, f"    {FETCH}\n{LOOP}", THREW, "it tried to reach example.com"),
    Fault("a connection to a bare address", BEGIN, BEGIN + "import socket; socket.create_connection(('192.0.2.1', 443))\n", THREW, "it tried to reach 192.0.2.1"),
    Fault("a download in a thread", BEGIN, BEGIN + "import urllib.request\nfrom concurrent.futures import ThreadPoolExecutor\nwith ThreadPoolExecutor() as pool:\n    list(pool.map(urllib.request.urlopen, ['https://example.com/w.npy']))\n", THREW, "it tried to reach example.com"),
    Fault("a download in a program that is started", BEGIN, BEGIN + f"import subprocess\nsubprocess.run([sys.executable, '-c', \"{FETCH}\"], check=True)\n", THREW, "it tried to reach example.com"),
    Fault("pip from the index", BEGIN, BEGIN + "import subprocess\nsubprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--retries', '0', 'ttach'], check=True)\n", THREW, "pip install"),
    Fault("a download that fails silently, then no file", BEGIN, BEGIN + f"try:\n    {FETCH}\nexcept OSError:\n    pass\nweights = open('w.npy')\n", THREW, "before that it tried to reach example.com"),
    Fault("a hub's own words for no network", BEGIN, BEGIN + f"try:\n    {FETCH}\nexcept OSError as error:\n    raise OSError(\"We couldn't connect to the hub to load the files\")\n", THREW, "the notebook needs the network"),
    Fault("weights fetched by the shell", BEGIN, BEGIN + "import subprocess\nsubprocess.run('wget -q https://example.com/w.npy', shell=True)\nimport numpy\nnumpy.load('w.npy')\n", THREW, "No such file or directory: 'w.npy'"),
    Fault("a download only in the rerun", BEGIN, BEGIN + f"if os.environ.get('KAGGLE_IS_COMPETITION_RERUN'):\n    {FETCH}\n", THREW, "it tried to reach example.com", HIDDEN),
)  # fmt: skip

MISSING = (
    Fault("a package that nobody bundled", BEGIN, BEGIN + "import ttach\n", THREW, "`ttach` is neither in the Kaggle image nor in the bundle"),
    Fault("a package needed only for a second image", LOOP, "    if rows:\n        import ttach\n" + LOOP, THREW, "`ttach` is neither in the Kaggle image nor in the bundle", HIDDEN),
    Fault("a module of one's own that was not uploaded", BEGIN, BEGIN + "from my_utils import predict_all\n", THREW, "`my_utils` is neither"),
    Fault("a name that this version does not have", BEGIN, BEGIN + "from numpy import product_of_all\n", THREW, "cannot import name 'product_of_all'"),
    Fault("a wheel in no attached dataset", BEGIN, BEGIN + "import subprocess\nsubprocess.run([sys.executable, '-m', 'pip', 'install', '-q', '--no-index', '/kaggle/input/wheels/ttach.whl'], check=True)\n", THREW, "/kaggle/input/wheels/ttach.whl"),
    Fault("weights in no attached dataset", BEGIN, BEGIN + "open('/kaggle/input/my-weights/w.npy')\n", THREW, "/kaggle/input/my-weights/w.npy"),
    Fault("weights at home", BEGIN, BEGIN + "open('/home/me/work/w.npy')\n", THREW, "/home/me/work/w.npy"),
    Fault("a file that only this machine has", BEGIN, BEGIN + f"open({__file__!r})\n", THREW, "fault_table.py"),
    Fault("what the run before left in /tmp", BEGIN, BEGIN + "if os.environ.get('KAGGLE_IS_COMPETITION_RERUN'):\n    open('/tmp/w.npy')\nelse:\n    open('/tmp/w.npy', 'w').close()\n", THREW, "No such file or directory: '/tmp/w.npy'", HIDDEN),
    Fault("a secret that only the editor has", BEGIN, BEGIN + "key = os.environ['WANDB_API_KEY']\n", THREW, "KeyError: 'WANDB_API_KEY'"),
)  # fmt: skip

HARD_CODED = (
    Fault("an id", "    image_id = os.path.basename(path)[:-4]\n", "    image_id = 'VISIBLE_ID'\n", SCORING_ERROR, "the ids are hard-coded", HIDDEN),
    Fault("the path of an image", "paths = sorted(glob.glob(f\"{ROOT}/stage1_test/*/images/*.png\"))\n", "paths = [f\"{ROOT}/stage1_test/VISIBLE_ID/images/VISIBLE_ID.png\"]\n", THREW, "it is hard-coded", HIDDEN),
    Fault("a threshold per id", LOOP, "    level = {'VISIBLE_ID': 90}[image_id]\n" + LOOP, THREW, "KeyError", HIDDEN),
    Fault("the number of images", LOOP, "    last = np.arange(1)[len(rows)]\n" + LOOP, THREW, "out of bounds", HIDDEN),
    Fault("the first image only", "for path in paths:", "for path in paths[:1]:", SCORING_ERROR, ": no row", HIDDEN),
    Fault("the size of an image", LOOP, "    canvas = np.zeros(VISIBLE_SHAPE)\n" + LOOP + "    canvas[:] = rgb[..., 0]\n", THREW, "could not broadcast", HIDDEN),
    Fault("the old mount path", "competitions/data-science-bowl-2018", "data-science-bowl-2018", SCORING_ERROR, ": no row"),
    Fault("the new mount path, where the old one comes", '    ROOT = "/kaggle/input/data-science-bowl-2018"', "    raise FileNotFoundError(ROOT)", THREW, "/kaggle/input/competitions/data-science-bowl-2018", LONG),
    Fault("a folder of one's own machine", "{ROOT}/stage1_test", "data/stage1_test", SCORING_ERROR, ": no row"),
    Fault("the wrong test folder", "{ROOT}/stage1_test", "{ROOT}/stage2_test_final", SCORING_ERROR, ": no row"),
)  # fmt: skip

DIALECT = (
    Fault("pixels counted along the rows", "mask.T.ravel()", "mask.ravel()", WRONG_ORDER, "counted in the wrong order"),
    Fault("pixels counted from 0", "np.flatnonzero(np.diff(flat)) + 1", "np.flatnonzero(np.diff(flat))", WRONG_ORDER, "the first pixel is counted as 0", base="KIDNEY"),
    Fault("start and end instead of start and length", "    edges[1::2] -= edges[::2]\n", "", SCORING_ERROR, "row 2, "),
    Fault("a Python list", 'return " ".join(map(str, edges))', "return edges.tolist()", SCORING_ERROR, "row 2, "),
    Fault("commas between the numbers", 'return " ".join', 'return ",".join', SCORING_ERROR, "row 2, "),
    Fault("numbers with a decimal point", "map(str, edges)", "map(str, edges.astype(float))", SCORING_ERROR, "row 2, "),
    Fault("NaN as text", TEXT, TEXT + "    text = 'nan'\n", SCORING_ERROR, "nan"),
    Fault("another competition's empty mask", TEXT, TEXT + "    text = '-'\n", SCORING_ERROR, "row 2, "),
    Fault("a run of no length as empty mask", TEXT, TEXT + "    text = '1 0'\n", SCORING_ERROR, "row 2, "),
    Fault("an odd count of numbers", TEXT, TEXT + "    text = text.rpartition(' ')[0]\n", SCORING_ERROR, "row 2, "),
    Fault("probabilities instead of a mask", TEXT, "    text = encode(mask * 0.7)\n", WRONG_ORDER, "nothing is predicted in any image", HIDDEN),
    Fault("the mask of the image at half size", TEXT, "    text = encode(mask[::2, ::2])\n", WRONG_ORDER, "made 2 times smaller"),
    Fault("the mask of the image at twice its size", TEXT, "    text = encode(mask.repeat(2, 0).repeat(2, 1))\n", SCORING_ERROR, "row 2, "),
    Fault("the mask at the network's size", TEXT, "    y, x = (np.arange(64) * side // 64 for side in mask.shape)\n    text = encode(mask[y][:, x])\n", WRONG_ORDER, "of 64 × 64 pixels"),
    Fault("instances that overlap", ROW, ROW + ROW, SCORING_ERROR, "overlaps the instance in row 2"),
    Fault("an empty row beside others", ROW, ROW + "    rows.append((image_id, ''))\n", SCORING_ERROR, "an empty row beside others"),
)  # fmt: skip

ROWS = (
    Fault("no row for an image without finds", ROW, "    if len(rows) < 1:\n    " + ROW, SCORING_ERROR, ": no row", HIDDEN),
    Fault("a row too many", WRITE, "rows.append(('average', '1 1'))\n" + WRITE, SCORING_ERROR, "`average`: no such test image"),
    Fault("a row twice", 'sample["predicted"] = sample["id"].map(texts)\n', 'sample["predicted"] = sample["id"].map(texts)\nsample = pd.concat([sample, sample])\n', SCORING_ERROR, "a second row, the first is row 2", base="KIDNEY"),
    Fault("a sample submission from an older download", 'sample = pd.read_csv(f"{root}/sample_submission.csv")\n', 'sample = pd.DataFrame({"id": ["VISIBLE_ID"]})\n', THREW, "it is hard-coded", HIDDEN, base="KIDNEY"),
    Fault("the train images predicted instead", "/stage1_test/*/images/*.png", "/stage1_train/*/images/*.png", SCORING_ERROR, "no such test image"),
    Fault("ids with the file's suffix", "os.path.basename(path)[:-4]", "os.path.basename(path)", SCORING_ERROR, "no such test image"),
    Fault("ids cut short", "os.path.basename(path)[:-4]", "os.path.basename(path)[:12]", SCORING_ERROR, "no such test image"),
    Fault("a wrong column name", '"EncodedPixels")', '"EncodedPixel")', SCORING_ERROR, "the columns are ['ImageId', 'EncodedPixel']"),
    Fault("the data frame's index as a column", ", index=False", "", SCORING_ERROR, "the columns are ['', 'id', 'predicted']", base="KIDNEY"),
    Fault("no header", '("ImageId", "EncodedPixels"), *rows', "*rows", SCORING_ERROR, "row 1: the columns are"),
    Fault("semicolons", "csv.writer(file)", "csv.writer(file, delimiter=';')", SCORING_ERROR, "the columns are ['ImageId;EncodedPixels']"),
    Fault("a third cell", ROW, "    rows.append((image_id, text, 0.9))\n", SCORING_ERROR, "row 2: 3 cells, expected 2"),
)  # fmt: skip

FILE = (
    Fault("a file cut short", WRITE, WRITE + "text = open('submission.csv').read()\nopen('submission.csv', 'w').write(text[:60])\n", SCORING_ERROR, "row 2"),
    Fault("an empty file", WRITE, "open('submission.csv', 'w').close()\n", SCORING_ERROR, "the columns are []"),
    Fault("the file elsewhere", 'open("submission.csv"', 'open("/tmp/submission.csv"', NOT_FOUND, "it wrote nothing"),
    Fault("the file in a folder", WRITE, "os.mkdir('out')\nos.chdir('out')\n" + WRITE, NOT_FOUND, "it wrote out"),
    Fault("another file name", 'open("submission.csv"', 'open("Submission.csv"', NOT_FOUND, "it wrote Submission.csv"),
    Fault("the file tidied away", WRITE, WRITE + "for name in os.listdir('.'):\n    os.remove(name)\n", NOT_FOUND, "it wrote nothing"),
    Fault("an exception that is swallowed", WRITE, "try:\n    rows.sort(key=len(rows))\n    open('submission.csv', 'w')\nexcept Exception as error:\n    print(error)\n", NOT_FOUND, "it wrote nothing"),
    Fault("a script that ends with 0 after an exception", WRITE, "try:\n    rows.sort(key=len(rows))\nexcept TypeError:\n    sys.exit(0)\n" + WRITE, NOT_FOUND, "it wrote nothing", base="SCRIPT"),
)  # fmt: skip

RUNNING = (
    Fault("an exception after the file was written", WRITE, WRITE + "print(sum(rows) / 0)\n", THREW, "cell 4, `print(sum(rows) / 0)`"),
    Fault("a cell that is not Python", BEGIN, BEGIN + "x = = 1\n", THREW, "SyntaxError"),
    Fault("a question to the user", BEGIN, BEGIN + "name = input('run? ')\n", THREW, "input"),
    Fault("a script that exits with an error", WRITE, WRITE + "sys.exit(3)\n", THREW, "the script ended with status 3", base="SCRIPT"),
    Fault("a crash in native code", LOOP, LOOP + "    import ctypes; ctypes.string_at(0)\n", EXCEEDED, "the kernel died"),
    Fault("more RAM than there is", LOOP, LOOP + "    whole = np.ones((1200, 1_000_000), np.uint8)\n", EXCEEDED, "it wanted more than 0.6 GB of RAM", limits=(("memory", 6e8),)),
    Fault("RAM that is never given back", LOOP, LOOP + "    globals().setdefault('kept', []).append(np.ones((320, 1_000_000), np.uint8))\n", EXCEEDED, "it wanted more than 0.6 GB of RAM", HIDDEN, limits=(("memory", 6e8),)),
    Fault("more than /kaggle/working holds", LOOP, LOOP + "    np.ones(40_000_000, np.uint8).tofile('cache.bin')\n", EXCEEDED, "in /kaggle/working, which holds", limits=(("disk", 2e7),)),
    Fault("a loop without an end", LOOP, LOOP + "    while True:\n        pass\n", TIMEOUT, "it had not ended after 5 s", limits=(("seconds", 5),)),
    Fault("far too slow for the real hidden test", LOOP, "    import time; time.sleep(5)\n" + LOOP, TIMEOUT, "the real hidden test has about", HIDDEN, limits=(("seconds", 90),)),
    Fault("a write into the input", LOOP, LOOP + "    np.save(path[:-4] + '.npy', rgb)\n", THREW, "Read-only file system"),
    Fault("a mask that is not cleared between images", "    mask = predict(rgb)\n", "    mask = predict(rgb)\n    side = 400\n    seen = globals().setdefault('seen_', np.zeros((side, side), bool))\n    seen[:mask.shape[0], :mask.shape[1]] |= mask\n    mask = seen[:mask.shape[0], :mask.shape[1]]\n", WRONG_ORDER, "are the same picture, and their masks differ", HIDDEN),
    Fault("rows that slip by one image", WRITE, "rows = [(a[0], b[1]) for a, b in zip(rows, rows[1:] + rows[:1])]\n" + WRITE, SCORING_ERROR, "row ", HIDDEN),
    Fault("planar slides", "        if image.count == 3:\n            return", "        if True:\n            return", THREW, "IndexError", HIDDEN, base="KIDNEY"),
    Fault("images smaller than the window", LOOP, LOOP + "    tiles = [rgb[y:y + 64] for y in range(0, rgb.shape[0] - 63, 32)]\n    np.concatenate(tiles)\n", THREW, "need at least one array to concatenate", TINY),
    Fault("images with nothing in them", TEXT, "    ys = np.flatnonzero(mask.any(axis=1)); height = ys.max() - ys.min()\n" + TEXT, THREW, "zero-size array", EMPTY),
    Fault("samples of 16 bits", "        rgb = image.read([1, 2, 3]).transpose(1, 2, 0)\n", "        rgb = np.arange(256)[image.read([1, 2, 3])].transpose(1, 2, 0)\n", THREW, "out of bounds", DEEP),
)  # fmt: skip

FAULTS = (*NETWORK, *MISSING, *HARD_CODED, *DIALECT, *ROWS, *FILE, *RUNNING)
