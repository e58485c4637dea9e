//! What the system knows about processes, from `/proc`.

use std::fs;
use std::time::Duration;

/// Processor time of all living threads of a process, user and system, by the scheduler's count of nanoseconds.
pub(crate) fn processor_time(process: u32) -> Duration {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{process}/task")).into_iter().flatten().flatten() {
        let counted = fs::read_to_string(thread.path().join("schedstat")).unwrap_or_default();
        nanoseconds += counted.split(' ').next().and_then(|count| count.parse::<u64>().ok()).unwrap_or(0);
    }
    Duration::from_nanos(nanoseconds)
}

/// Memory of a process that is in RAM, in KiB.
pub(crate) fn resident(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

/// Processor time of the whole machine: what was worked, and what the hypervisor kept for others. In ticks of 10 ms.
pub(crate) fn machine_time() -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = stat.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<u64> = fields.map(|field| field.parse().unwrap_or(0)).collect();
    // user, nice, system, idle, iowait, irq, softirq, steal
    let worked: u64 = [0, 1, 2, 5, 6, 7].into_iter().filter_map(|index: usize| ticks.get(index)).sum();
    Duration::from_millis(worked * 10)
}

/// Processor time of this process and of those it started and waited for. In ticks of 10 ms.
pub(crate) fn family_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before the last bracket may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(4).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// How many processors the machine has.
pub(crate) fn machine_size() -> usize {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let processors = stat.lines().filter(|line| line.starts_with("cpu") && !line.starts_with("cpu ")).count();
    processors.max(1)
}

/// The processors this process may use.
pub(crate) fn processors() -> Vec<usize> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let list = status.lines().find_map(|line| line.strip_prefix("Cpus_allowed_list:")).unwrap_or("0").trim();
    let number = |text: &str| text.parse::<usize>().unwrap_or(0);
    list.split(',')
        .flat_map(|part| match part.split_once('-') {
            Some((first, last)) => (number(first)..=number(last)).collect::<Vec<_>>(),
            None => vec![number(part)],
        })
        .collect()
}
