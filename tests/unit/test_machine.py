from workflow_scripts.cxrcam.machine import has_gpu


def test_a_gpu_is_seen_by_its_device_file(tmp_path):
    (tmp_path / "nvidiactl").touch()  # the driver alone, with no card
    assert not has_gpu(tmp_path)
    (tmp_path / "nvidia0").touch()
    assert has_gpu(tmp_path)
