import os

import pytest

from jaxdl.config import load_config
from jaxdl.errors import ConfigError, LockError
from jaxdl.recipes.configs import ClassifierConfig
from jaxdl.recipes.runs import open_run, read_run_config
from jaxdl.train import RunFolder


@pytest.fixture
def make_config(tmp_path):
    def make(*overrides):
        words = [f"run.folder={tmp_path}", *overrides]
        return load_config(ClassifierConfig, None, words)

    return make


def leave_results(run):
    run.checkpoints.mkdir(exist_ok=True)


def start(config, *, finished=False):
    with open_run(config, experiment="task") as run:
        leave_results(run)
        if finished:
            run.summary.write_text("{}")
    return run


def test_open_run_writes_the_config(make_config, tmp_path):
    config = make_config("run.name=a", "data.batch_size=64")
    with open_run(config, experiment="task") as run:
        assert run.path == tmp_path / "task" / "a"
        assert read_run_config(ClassifierConfig, run) == config


def test_open_run_makes_up_names_that_differ(make_config):
    paths = {start(make_config()).path for _ in range(3)}
    assert len(paths) == 3


def test_open_run_refuses_a_name_that_is_taken(make_config):
    start(make_config("run.name=a"))
    with pytest.raises(ConfigError, match="task/a already holds a run; add --resume"):
        start(make_config("run.name=a"))


def test_open_run_takes_a_folder_that_holds_no_results(make_config):
    with open_run(make_config("run.name=a"), experiment="task"):
        pass
    config = make_config("run.name=a", "run.seed=3")
    run = start(config)
    assert read_run_config(ClassifierConfig, run) == config


def test_open_run_is_locked_while_open(make_config):
    with open_run(make_config("run.name=a"), experiment="task"):
        with pytest.raises(LockError, match=f"in use by process {os.getpid()}"):
            start(make_config("run.name=a"))
    start(make_config("run.name=a"))


def test_open_run_resumes_the_unfinished_run_of_an_equal_config(make_config):
    old = make_config("optimizer.learning_rate=0.2")
    run = start(old)
    start(make_config("optimizer.learning_rate=0.3"))
    start(old, finished=True)
    config = make_config(
        "optimizer.learning_rate=0.2", "run.resume=true", "mesh.data=4"
    )
    with open_run(config, experiment="task") as found:
        assert found.path == run.path
        assert read_run_config(ClassifierConfig, found) == old


def test_open_run_refuses_to_resume_with_another_config(make_config):
    start(make_config("run.name=a"))
    config = make_config("run.name=a", "run.resume=true", "data.batch_size=64")
    with pytest.raises(ConfigError, match=r"task/a: .*data\.batch_size.*new run"):
        start(config)


@pytest.mark.parametrize(
    "override", ["run.log_every=7 steps", "mesh.data=2", "data.num_workers=5"]
)
def test_open_run_resumes_with_what_decides_no_number(make_config, override):
    run = start(make_config("run.name=a"))
    with open_run(
        make_config("run.name=a", "run.resume=true", override), experiment="task"
    ) as resumed:
        assert resumed.path == run.path


def test_open_run_without_a_run_to_resume_says_so(make_config):
    with pytest.raises(ConfigError, match="no unfinished run of this config in"):
        start(make_config("run.resume=true"))


def test_open_run_names_a_folder_it_cannot_write(make_config, tmp_path):
    (tmp_path / "task").write_text("a file")
    with pytest.raises(ConfigError, match=r"run\.folder: can't write to .*task"):
        start(make_config())


def test_read_run_config_refuses_other_folders(tmp_path):
    with pytest.raises(ConfigError, match="not a run folder"):
        read_run_config(ClassifierConfig, RunFolder(tmp_path))


def test_open_run_resumes_the_newest_whatever_it_is_called(make_config):
    runs = {name: start(make_config(f"run.name={name}")) for name in ("z", "m", "a")}
    for age, name in enumerate(("a", "m", "z")):
        os.utime(runs[name].config, (1e9 - age, 1e9 - age))
    resume = make_config("run.resume=true")
    assert start(resume).path.name == "a"
    runs["a"].summary.write_text("{}")
    assert start(resume).path.name == "m"
    runs["m"].config.write_text("no: such field")
    assert start(resume).path.name == "z"


def test_open_run_names_the_values_that_changed(make_config):
    start(make_config("run.name=a"))
    config = make_config("run.name=a", "run.resume=true", "optimizer.learning_rate=0.2")
    with pytest.raises(ConfigError, match="learning_rate was 0.1, now 0.2; start"):
        start(config)


def test_open_run_replaces_a_config_cut_short_by_a_kill(make_config):
    config = make_config("run.name=a")
    with open_run(config, experiment="task") as run:
        pass
    run.config.write_text("optimizer:\n  learn")
    start(make_config("run.name=a", "run.resume=true"))
    assert read_run_config(ClassifierConfig, run).optimizer == config.optimizer


def test_open_run_releases_the_lock_after_an_error(make_config):
    config = make_config("run.name=a")
    with pytest.raises(ZeroDivisionError), open_run(config, experiment="task"):
        raise ZeroDivisionError
    start(config)
