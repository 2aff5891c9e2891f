from __future__ import annotations

import pytest

from placeaudit.analyze.callsite import CallSite, call_site
from placeaudit.analyze.origins import Made, on_device, origin_of_upload
from placeaudit.analyze.source import Sources
from placeaudit.analyze.uses import UseKind, use_of
from placeaudit.model import Frame
from tests.analyze.builder import FILE, Builder


def site(source: str, text: str) -> CallSite:
    found = call_site(Sources({FILE: source}), Builder(source).at(text))
    assert found is not None
    return found


def in_loop(*lines: str) -> str:
    body = "\n".join(f"        {line}" for line in lines)
    return f"import torch\ndef train():\n    for x in data:\n{body}\n"


@pytest.mark.parametrize(
    ("lines", "text", "fix"),
    [
        (
            ["z = torch.zeros(n).to(device)"],
            "torch.zeros(n).to(device)",
            "torch.zeros(n, device=device)",
        ),
        (["z = torch.zeros(n).cuda()"], "torch.zeros(n).cuda()", "torch.zeros(n, device='cuda')"),
        (
            ["z = torch.arange(n).float().to(device)"],
            "torch.arange(n).float().to(device)",
            "torch.arange(n, device=device)",
        ),
        (
            ["z = torch.randn(n)", "z = z.to(device)"],
            "z.to(device)",
            "torch.randn(n, device=device)",
        ),
        (
            ["z = torch.empty(n)", "z.normal_()", "f(z.to(device))"],
            "z.to(device)",
            "torch.empty(n, device=device)",
        ),
        (
            ["z = torch.ones(n)", "k = z.shape", "f(z.to(device))"],
            "z.to(device)",
            "torch.ones(n, device=device)",
        ),
        (
            ["z = (torch.rand(n) < 0.5).to(device)"],
            "(torch.rand(n) < 0.5).to(device)",
            "torch.rand(n, device=device)",
        ),
        (
            ["z = torch.tensor([1.0, -2.0]).to(device)"],
            "torch.tensor([1.0, -2.0]).to(device)",
            "torch.tensor([1.0, -2.0], device=device)",
        ),
        (
            ["z = torch.tensor(1.0, device=device)"],
            "torch.tensor(1.0, device=device)",
            "torch.tensor(1.0, device=device)",
        ),
        (["buffer[0] = torch.zeros(n)"], "buffer[0]", "torch.zeros(n, device=device)"),
    ],
)
def test_host_factories(lines: list[str], text: str, fix: str) -> None:
    origin, device = origin_of_upload(site(in_loop(*lines), text))
    assert origin.made is Made.FACTORY
    assert on_device(origin, device or "device") == fix


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["z = torch.tensor(values).to(device)"], "torch.tensor(values).to(device)"),
        (["z = torch.tensor(values, device=device)"], "torch.tensor(values, device=device)"),
        (["z = torch.zeros(n)", "z[i] = x", "f(z.to(device))"], "z.to(device)"),
        (["z = torch.zeros(n)", "print(z)", "f(z.to(device))"], "z.to(device)"),
        (["z = torch.zeros(n)", "f(z.to(device))", "keep.append(z)"], "z.to(device)"),
        (["z = torch.eye(n)[labels].to(device)"], "torch.eye(n)[labels].to(device)"),
        (
            ["z = torch.zeros(n).scatter_(1, x, 1).to(device)"],
            "torch.zeros(n).scatter_(1, x, 1).to(device)",
        ),
        (["z = torch.zeros(n)", "a = z.numpy()", "f(z.to(device))"], "z.to(device)"),
        (["z = (x + torch.randn(n)).to(device)"], "(x + torch.randn(n)).to(device)"),
        (["k = x.shape", "z = (torch.randn(k) * x).to(device)"], "(torch.randn(k) * x).to(device)"),
        (
            ["z = torch.cat([x, torch.zeros(n)]).to(device)"],
            "torch.cat([x, torch.zeros(n)]).to(device)",
        ),
        (
            ["z = torch.zeros(n).add(other(x)).to(device)"],
            "torch.zeros(n).add(other(x)).to(device)",
        ),
    ],
)
def test_data(lines: list[str], text: str) -> None:
    assert origin_of_upload(site(in_loop(*lines), text))[0].made is Made.DATA


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["z = x.to(device)"], "x.to(device)"),
        (["z = make(n).to(device)"], "make(n).to(device)"),
        (["z = torch.stack(rows).to(device)"], "torch.stack(rows).to(device)"),
        (["z = torch.from_numpy(a).to(device)"], "torch.from_numpy(a).to(device)"),
        (["z = np.zeros(n).to(device)"], "np.zeros(n).to(device)"),
        (["f(x)"], "f(x)"),
    ],
)
def test_unknown(lines: list[str], text: str) -> None:
    assert origin_of_upload(site(in_loop(*lines), text))[0].made is Made.UNKNOWN


def test_made_before_the_loop_is_data() -> None:
    source = (
        "import torch\ndef f():\n    z = torch.ones(3)\n    for x in y:\n        g(z.to(device))\n"
    )
    assert origin_of_upload(site(source, "z.to(device)"))[0].made is Made.DATA


def test_a_host_name_in_between_leaves_it_inexact() -> None:
    source = in_loop("z = (torch.randn(n) * sigma).to(device)")
    origin, _ = origin_of_upload(site(source, "(torch.randn(n) * sigma).to(device)"))
    assert (origin.made, origin.exact, origin.random) == (Made.FACTORY, False, True)


@pytest.mark.parametrize(
    ("head", "expression", "made"),
    [
        ("def f(scale=0.1):", "torch.randn(n) + scale", Made.FACTORY),
        ("def f(scale: float):", "torch.randn(n) + scale", Made.FACTORY),
        ("def f(scale):", "torch.randn(n) * scale", Made.FACTORY),
        ("def f(args):", "torch.randn(n) + args.mean", Made.FACTORY),
        ("def f(self):", "torch.randn(n) * self.scale", Made.FACTORY),
        ("def f(batch):", "torch.randn(n) + batch", Made.DATA),
        ("def f(batch: torch.Tensor):", "torch.randn(n) * batch", Made.DATA),
        ("def f(batch=None):", "torch.randn(n) * batch", Made.DATA),
        ("def f(self):", "torch.randn(n) + self.mean", Made.DATA),
        ("def f(lengths):", "torch.arange(n)[None] < lengths[:, None]", Made.DATA),
        ("for i, x in enumerate(data):", "torch.arange(n) + i", Made.FACTORY),
        ("for i, x in enumerate(data):", "torch.arange(n) + x", Made.DATA),
        ("for i in range(9):", "torch.arange(n) + 2 * i", Made.FACTORY),
    ],
)
def test_what_a_factory_is_mixed_with(head: str, expression: str, made: Made) -> None:
    source = f"import torch\n{head}\n    z = ({expression}).to(device)\n"
    assert origin_of_upload(site(source, f"({expression}).to(device)"))[0].made is made


def test_imported_factories_are_known_under_their_name() -> None:
    source = "from torch import zeros as nil\nz = nil(3).to(device)\n"
    assert origin_of_upload(site(source, "nil(3).to(device)"))[0].factory == "torch.zeros"


def test_no_source_or_columns_is_unknown() -> None:
    assert call_site(Sources({}), Frame(FILE, "f", 1, 1, 0, 3)) is None
    assert call_site(Sources({FILE: "x = 1"}), Frame(FILE, "f", 1)) is None
    assert call_site(Sources({FILE: "x = = 1"}), Frame(FILE, "f", 1, 1, 0, 1)) is None
    assert call_site(Sources({}), None) is None


@pytest.mark.parametrize(
    ("lines", "text", "kind"),
    [
        (["total += loss.item()"], "loss.item()", UseKind.ACCUMULATED),
        (["losses.append(loss.item())"], "loss.item()", UseKind.ACCUMULATED),
        (["losses.append(float(loss) / n)"], "float(loss)", UseKind.ACCUMULATED),
        (["self.last = loss.item()"], "loss.item()", UseKind.ACCUMULATED),
        (["print('loss', loss.item())"], "loss.item()", UseKind.PRINTED),
        (["print(loss)"], "print(loss)", UseKind.PRINTED),
        (["print(f'{loss:.3f}')"], "f'{loss:.3f}'", UseKind.PRINTED),
        (["logging.info('%s', loss.item())"], "loss.item()", UseKind.PRINTED),
        (["bar.set_postfix(loss=loss.item())"], "loss.item()", UseKind.PRINTED),
        (["v = loss.item()", "total += v", "print(v)"], "loss.item()", UseKind.PRINTED),
        (["if loss > 3:", "    y = y * 2"], "loss > 3", UseKind.BRANCH),
        (["assert ok.all()"], "assert ok.all()", UseKind.ASSERTED),
        (["y = y * torch.exp(torch.tensor(loss.item()))"], "loss.item()", UseKind.FRAMEWORK),
        (["y.mul_(scale.item())"], "scale.item()", UseKind.FRAMEWORK),
        (["return loss.item()"], "loss.item()", UseKind.RETURNED),
        (["loss.item()"], "loss.item()", UseKind.DISCARDED),
        (["state, r = env.step(action.item())"], "action.item()", UseKind.NEEDED),
        (["env.step(action.cpu().numpy())"], "action.cpu()", UseKind.NEEDED),
        (["a = action.item()", "env.step(a)"], "action.item()", UseKind.NEEDED),
        (["out.write(f'{loss.item()}')"], "loss.item()", UseKind.NEEDED),
        (["if loss < best:", "    break"], "loss < best", UseKind.NEEDED),
        (["if loss.item() < best:", "    torch.save(m, p)"], "loss.item()", UseKind.NEEDED),
        (
            [
                "if v.item() < best:",
                "    bad = 0",
                "else:",
                "    bad += 1",
                "if bad > 3:",
                "    break",
            ],
            "v.item()",
            UseKind.NEEDED,
        ),
        (["word = vocabulary[index.item()]"], "index.item()", UseKind.INDEX),
    ],
)
def test_uses(lines: list[str], text: str, kind: UseKind) -> None:
    assert use_of(site(in_loop(*lines), text)).kind is kind


def test_a_while_condition_is_needed() -> None:
    source = "def f():\n    while error.item() > 1e-3:\n        error = g(error)\n"
    assert use_of(site(source, "error.item()")).kind is UseKind.NEEDED


METER = """class Meter:
    def update(self, value, n=1):
        self.sum += value * n
def show(value):
    return f"{value:.3f}"
def act(value):
    return table[value]
def train():
    meter.update(loss.item(), 3)
    print(show(lost.item()))
    act(a.item())
"""


def test_functions_of_the_same_file_are_looked_into() -> None:
    assert use_of(site(METER, "loss.item()")).kind is UseKind.ACCUMULATED
    assert use_of(site(METER, "lost.item()")).kind is UseKind.PRINTED
    assert use_of(site(METER, "a.item()")).kind is UseKind.INDEX
