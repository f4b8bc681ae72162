"""Loads a torch.save file as PyTorch does, without PyTorch: standard library only, with a restricted unpickler.

usage: load_torch.py FILE   prints JSON: entries and where they begin, names and instructions of the pickle, its value
"""

import hashlib
import io
import json
import pickle
import pickletools
import struct
import sys
import zipfile
from collections import OrderedDict


def scalar(dtype, raw):
    return struct.unpack("<d", raw)[0]


class Dtype:
    def __init__(self, *args):
        pass

    def __setstate__(self, state):
        pass


class FloatStorage:
    pass


def load(path):
    archive = zipfile.ZipFile(path)
    assert archive.testzip() is None
    names = archive.namelist()
    root = next(n for n in names if n.endswith("/data.pkl"))[: -len("data.pkl")]
    raw = archive.read(root + "data.pkl")
    seen = []

    def rebuild(storage, offset, size, stride, requires_grad, hooks):
        count = 1
        for n in size:
            count *= n
        expected, strides = 1, []
        for n in reversed(size):
            strides.insert(0, expected)
            expected *= n
        assert tuple(stride) == tuple(strides) and requires_grad is False and type(hooks) is OrderedDict
        data = storage[4 * offset : 4 * (offset + count)]
        return {"tensor": list(size), "sha256": hashlib.sha256(data).hexdigest()}

    allowed = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): rebuild,
        ("torch", "FloatStorage"): FloatStorage,
        ("numpy._core.multiarray", "scalar"): scalar,
        ("numpy", "dtype"): Dtype,
    }

    class Unpickler(pickle.Unpickler):
        def find_class(self, module, name):
            seen.append(f"{module}.{name}")
            if (module, name) == ("_codecs", "encode"):
                import _codecs

                return _codecs.encode
            return allowed[(module, name)]

        def persistent_load(self, pid):
            tag, kind, key, place, count = pid
            assert tag == "storage" and kind is FloatStorage and place == "cpu"
            data = archive.read(f"{root}data/{key}")
            assert len(data) == 4 * count
            return data

    value = Unpickler(io.BytesIO(raw)).load()
    with open(path, "rb") as file:
        whole = file.read()
    begins = {}
    for info in archive.infolist():
        assert info.compress_type == zipfile.ZIP_STORED
        name_size, extra_size = struct.unpack("<HH", whole[info.header_offset + 26 : info.header_offset + 30])
        begins[info.filename[len(root) :]] = info.header_offset + 30 + name_size + extra_size
    small = ["version", "byteorder", ".format_version", ".storage_alignment", ".data/serialization_id"]
    return {
        "begins": begins,
        "order": [n[len(root) :] for n in names],
        "small": {n: archive.read(root + n).decode() for n in small},
        "globals": sorted(set(seen)),
        "opcodes": sorted({op.name for op, _, _ in pickletools.genops(raw)}),
        "value": value,
    }


if __name__ == "__main__":
    print(json.dumps(load(sys.argv[1])))
