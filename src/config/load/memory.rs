//! How much memory the process may use, by its control groups: those of Linux, version 2 and version 1.

use std::path::Path;

use crate::config::load::world::World;

/// Which groups the process is in.
const GROUPS: &str = "/proc/self/cgroup";
/// Where a hierarchy of version 2 is mounted: alone, or beside version 1.
const UNIFIED: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];
/// Where the one of version 1 is mounted that counts memory.
const MEMORY: &str = "/sys/fs/cgroup/memory";
/// Longer files say something else.
const LONGEST: usize = 64 * 1024;
/// Version 1 writes a number near the largest one for no limit.
const NONE: u64 = 1 << 60;

/// The least that any group of the process allows, in octets; `None`: nobody limits it, or nobody can say.
pub(super) fn limit(world: &dyn World) -> Option<u64> {
    let text = |path: &Path| String::from_utf8(world.read(path, LONGEST).ok()?).ok();
    let groups = text(Path::new(GROUPS))?;
    let mut least: Option<u64> = None;
    for line in groups.lines() {
        let mut fields = line.splitn(3, ':');
        let (Some(_), Some(controllers), Some(group)) = (fields.next(), fields.next(), fields.next()) else { continue };
        let (mounts, file) = match controllers {
            "" => (&UNIFIED[..], "memory.max"),
            named if named.split(',').any(|name| name == "memory") => (&[MEMORY][..], "memory.limit_in_bytes"),
            _ => continue,
        };
        // A group has no more than those around it. Within a container those outside are not seen.
        for group in Path::new(group.trim_start_matches('/')).ancestors() {
            for mount in mounts {
                let written = text(&Path::new(mount).join(group).join(file));
                let number = written.and_then(|written| written.trim().parse().ok());
                if let Some(number) = number.filter(|number| *number < NONE) {
                    least = Some(least.map_or(number, |least: u64| least.min(number)));
                }
            }
        }
    }
    least
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::load::Pretend;

    #[test]
    fn the_tightest_group_counts_in_both_versions() {
        let group = |text: &str| Pretend::new().file(GROUPS, text);
        let (v2, v1) = ("/sys/fs/cgroup", "/sys/fs/cgroup/memory");
        for (world, want) in [
            (Pretend::new(), None),
            (group("0::/\n"), None),
            (group("0::/\n").file(format!("{v2}/memory.max"), "max\n"), None),
            (group("0::/\n").file(format!("{v2}/memory.max"), "67108864\n"), Some(67_108_864)),
            (
                group("0::/pods/one\n")
                    .file(format!("{v2}/memory.max"), "max")
                    .file(format!("{v2}/pods/memory.max"), "1000")
                    .file(format!("{v2}/pods/one/memory.max"), "3000"),
                Some(1000),
            ),
            (
                group("4:cpu,memory:/docker/abc\n1:name=systemd:/\n0::/\n")
                    // As within a container: its own group is the root that it sees.
                    .file(format!("{v1}/memory.limit_in_bytes"), "5000\n")
                    .file(format!("{v2}/unified/memory.max"), "7000\n"),
                Some(5000),
            ),
            (group("4:memory:/\n").file(format!("{v1}/memory.limit_in_bytes"), "9223372036854771712\n"), None),
            (group("4:memories:/\n").file(format!("{v1}/memory.limit_in_bytes"), "1\n"), None),
            (group("nonsense\n4:memory:/a\n").file(format!("{v1}/a/memory.limit_in_bytes"), "a lot\n"), None),
        ] {
            assert_eq!(limit(&world), want);
        }
    }
}
