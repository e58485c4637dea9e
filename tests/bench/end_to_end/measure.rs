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

/// What was worked on these processors by anybody, and what the hypervisor kept for others. In ticks of 10 ms.
pub(crate) fn worked(processors: &[usize]) -> Duration {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let of_processor = |processor: &usize| {
        let line = stat.lines().find_map(|line| line.strip_prefix(&format!("cpu{processor} ")));
        let ticks: Vec<u64> = line?.split_whitespace().map(|field| field.parse().unwrap_or(0)).collect();
        // user, nice, system, idle, iowait, irq, softirq, steal
        Some([0, 1, 2, 5, 6, 7].into_iter().filter_map(|index: usize| ticks.get(index)).sum::<u64>())
    };
    Duration::from_millis(processors.iter().filter_map(of_processor).sum::<u64>() * 10)
}

/// Processor time of the processes that this one started and waited for. In ticks of 10 ms.
pub(crate) fn children_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    // The name before the last bracket may hold anything.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(13).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
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
