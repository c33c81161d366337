"""Training is deterministic, interrupted or not; the ONNX networks give torch's results."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from puppet import Puppet

torch = pytest.importorskip("torch", reason="training needs torch, which is not installed")
pytest.importorskip("safetensors", reason="training needs safetensors, which is not installed")

from cvi.errors import UsageError  # noqa: E402
from cvi.face.neural.decoder import FeatureRows, LowerFaceDecoder, feature_scales  # noqa: E402
from cvi.face.neural.rig import DECODER, FEATURES  # noqa: E402
from cvi.training.evaluation.quality_metrics import correlation  # noqa: E402
from cvi.training.footage.preparation import PreparedFootage, load_prepared, prepare_footage  # noqa: E402
from cvi.training.model import loop  # noqa: E402
from cvi.training.model.augmentation import MouthSwaps  # noqa: E402
from cvi.training.model.checkpoint import CHECKPOINT, peek_checkpoint  # noqa: E402
from cvi.training.model.config import (  # noqa: E402
    NetworkSize,
    TrainingConfig,
    choose_device,
)
from cvi.training.model.loop import Trainer, learning_rate  # noqa: E402
from cvi.training.model.network import InpaintingNetwork, masked_input  # noqa: E402
from cvi.training.model.onnx_network import ENCODER, OnnxEncoder, decoder_bytes, encoder_bytes  # noqa: E402  # noqa: E402

TINY = (8, 12, 16, 16)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> PreparedFootage:
    puppet = Puppet.make(8.0)
    folder = tmp_path_factory.mktemp("prepared")
    prepare_footage(puppet.frames(), puppet.track(), folder, 96, 1.0)
    found = load_prepared(folder)
    assert found is not None
    return found


def plan(prepared: PreparedFootage, steps: int, seed: int = 0) -> TrainingConfig:
    return TrainingConfig(
        NetworkSize(prepared.side, TINY, prepared.mouth.shape[1], 24), steps, batch=4, learning_rate=4e-3, seed=seed
    )


def state(trainer: Trainer) -> dict[str, np.ndarray]:
    return {name: value.detach().numpy().copy() for name, value in trainer.network.state_dict().items()}


def same(a: dict[str, np.ndarray], b: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(a[name], b[name]) for name in a)


def test_stopped_and_resumed_is_the_same_as_never_stopped(prepared: PreparedFootage, tmp_path: Path) -> None:
    device = choose_device("cpu")
    whole = Trainer(prepared, plan(prepared, 9), tmp_path / "whole", device)
    (tmp_path / "whole").mkdir()
    assert whole.run()
    (tmp_path / "parts").mkdir()
    for upto in (2, 5, 6, 9):
        part = Trainer(prepared, plan(prepared, 9), tmp_path / "parts", device)
        assert part.run(stop=lambda part=part, upto=upto: part.step >= upto) == (upto == 9)
        found = peek_checkpoint(tmp_path / "parts")
        assert found is not None and (found.step, found.total) == (upto, 9)
    assert same(state(part), state(whole))
    (tmp_path / "other").mkdir()
    other = Trainer(prepared, plan(prepared, 9, seed=1), tmp_path / "other", device)
    other.run()
    assert not same(state(other), state(whole))


def test_the_learning_rate_warms_up_and_decays_to_a_hundredth() -> None:
    rates = [learning_rate(step, 1000, 2e-3) for step in range(1000)]
    assert rates[0] == pytest.approx(2e-5, rel=0.02) and max(rates) < 2.02e-3
    assert rates.index(max(rates)) == 99
    assert all(later < earlier for earlier, later in pairwise(rates[99:]))
    assert learning_rate(1000, 1000, 2e-3) == pytest.approx(2e-5)


def test_the_validation_loss_changes_no_weight_and_is_kept_over_a_stop(
    prepared: PreparedFootage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "_VALIDATE_EVERY", 2)
    device = choose_device("cpu")
    for name in ("with", "without", "stopped"):
        (tmp_path / name).mkdir()
    validated = Trainer(prepared, plan(prepared, 5), tmp_path / "with", device)
    shown: list[float | None] = []
    validated.run(lambda reached: shown.append(reached.validation_loss))
    assert [step for step, _ in validated.validation] == [2, 4, 5]
    assert shown[0] is None and shown[-1] == validated.validation[-1][1] > 0
    nothing_held_out = replace(prepared, test=np.zeros_like(prepared.test))
    plain = Trainer(nothing_held_out, plan(prepared, 5), tmp_path / "without", device)
    plain.run()
    assert plain.validation == [] and same(state(plain), state(validated))
    first = Trainer(prepared, plan(prepared, 5), tmp_path / "stopped", device)
    first.run(stop=lambda: first.step >= 3)
    resumed = Trainer(prepared, plan(prepared, 5), tmp_path / "stopped", device)
    resumed.run()
    assert resumed.validation == validated.validation


def test_another_configuration_starts_over_and_a_damaged_checkpoint_is_named(
    prepared: PreparedFootage, tmp_path: Path
) -> None:
    device = choose_device("cpu")
    Trainer(prepared, plan(prepared, 3), tmp_path, device).run()
    assert Trainer(prepared, plan(prepared, 3), tmp_path, device).done
    other = Trainer(prepared, plan(prepared, 4), tmp_path, device)
    assert other.step == 0 and other.discarded
    kept = (tmp_path / CHECKPOINT).read_bytes()
    (tmp_path / CHECKPOINT).write_bytes(kept[: len(kept) // 2])
    with pytest.raises(UsageError, match="cannot be continued from"):
        Trainer(prepared, plan(prepared, 3), tmp_path, device)


def test_the_lips_follow_the_requested_mouth_and_not_the_frame(
    prepared: PreparedFootage, tmp_path: Path
) -> None:
    trainer = Trainer(prepared, plan(prepared, 240), tmp_path, choose_device("cpu"))
    losses: list[float] = []
    trainer.run(lambda reached: losses.append(reached.loss))
    assert losses[-1] < 0.5 * losses[3]
    rng = np.random.default_rng(0)
    frames = np.flatnonzero(prepared.train)
    bases, mouths = rng.choice(frames, 24), rng.choice(frames, 24)
    drawn = trainer.draw(bases.tolist(), prepared.mouth[mouths])
    rows, columns = prepared.lip_box
    dark = (drawn[:, rows, columns, 0] < 120).sum((1, 2)).astype(float)
    assert correlation(dark, prepared.opening[mouths]) > 0.8
    assert abs(correlation(dark, prepared.opening[bases])) < 0.45


def test_a_swap_shows_the_donors_mouth_in_the_other_frame(prepared: PreparedFootage) -> None:
    swaps, rng = MouthSwaps(prepared), np.random.default_rng(0)
    rows, columns = prepared.lip_box
    frames = np.flatnonzero(prepared.train)[5::17]
    shown, given, own, off = [], [], [], []
    for frame in frames.tolist():
        donor = swaps.donor(frame, rng)
        assert prepared.train[donor] and abs(donor - frame) >= 0.3 * prepared.fps
        picture, belief = swaps.picture(frame, donor)
        shown.append(float((picture[rows, columns, 0] < 120).sum()))
        given.append(float(prepared.opening[donor]))
        own.append(float(prepared.opening[frame]))
        # Where nothing of it is shown nothing of it is believed; around the mouth all of it is.
        assert belief[rows, columns].min() > 0.9 and belief[:10].max() == 0
        # What lies above the lips does not move with the mouth: it lies where it lay.
        skin = (belief > 0.5) & (np.arange(prepared.side)[:, None] < rows.start)
        off.append(np.abs(picture[skin] - prepared.crops[frame][skin].astype(np.float32)).mean())
    assert correlation(np.array(shown), np.array(given)) > 0.95
    assert abs(correlation(np.array(shown), np.array(own))) < 0.7
    assert np.median(off) < 4


def test_a_frame_without_a_donor_keeps_its_mouth(prepared: PreparedFootage) -> None:
    train = np.zeros_like(prepared.train)
    train[20:24] = True
    alone = MouthSwaps(replace(prepared, train=train))
    assert alone.donor(21, np.random.default_rng(0)) == 21


def test_onnx_gives_what_torch_gave(prepared: PreparedFootage, tmp_path: Path) -> None:
    trainer = Trainer(prepared, plan(prepared, 3), tmp_path, choose_device("cpu"))
    trainer.run()
    (tmp_path / ENCODER).write_bytes(encoder_bytes(trainer.network))
    (tmp_path / DECODER).write_bytes(decoder_bytes(trainer.network))
    encoder = OnnxEncoder(tmp_path / ENCODER)
    rows = [encoder.features(prepared.crops[i], prepared.region(i).hidden) for i in (0, 9)]
    decoder = LowerFaceDecoder(tmp_path / DECODER)
    both = np.stack(rows).astype(np.float32)
    scales = feature_scales(both.min(0), both.max(0), encoder.shapes)
    np.save(tmp_path / FEATURES, np.stack([scales.bytes_of(row) for row in rows]))
    features = FeatureRows(tmp_path / FEATURES, scales, decoder.total)
    for row, frame in enumerate((0, 9)):
        picture = torch.from_numpy(prepared.crops[frame].copy()).permute(2, 0, 1)[None].float() / 255
        told = torch.from_numpy(prepared.mouth[frame : frame + 1])
        hidden = torch.from_numpy(prepared.region(frame).hidden)[None, None]
        with torch.inference_mode():
            truth = (
                trainer.network.eval()(masked_input(picture, hidden), told)[0].permute(1, 2, 0).numpy() * 255
            )
        # In half precision: about a third of a step of 255. In eight bits a little more.
        assert np.abs(decoder.draw(rows[row], prepared.mouth[frame]) - truth).max() < 0.8
        assert np.abs(decoder.draw(features.at(row, row, 0.0), prepared.mouth[frame]) - truth).max() < 2.5
    half_way = features.at(0, 1, 0.5)
    assert np.allclose(half_way, (features.at(0, 0, 0.0) + features.at(1, 1, 0.0)) / 2, atol=1e-4)
    with pytest.raises(UsageError, match="does not belong"):
        np.save(tmp_path / FEATURES, np.zeros((2, 7), np.float16))
        FeatureRows(tmp_path / FEATURES, scales, decoder.total)


def test_sizes_have_the_shapes_they_say() -> None:
    network = InpaintingNetwork(NetworkSize(96, TINY, 5, 24)).eval()
    with torch.inference_mode():
        features = network.encoder(torch.zeros(2, 4, 96, 96))
        assert [tuple(f.shape[1:]) for f in features] == [(8, 24, 24), (12, 12, 12), (16, 6, 6), (16, 3, 3)]
        assert network(torch.zeros(2, 4, 96, 96), torch.zeros(2, 5)).shape == (2, 3, 96, 96)


def test_devices_that_are_not_here_are_named() -> None:
    with pytest.raises(UsageError, match="not known"):
        choose_device("tpu")
    if not torch.cuda.is_available():
        with pytest.raises(UsageError, match="no CUDA"):
            choose_device("cuda")
        assert choose_device("auto").torch_device.type == "cpu"
