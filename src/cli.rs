//! The command line: one verb a file, each a function from its arguments to an exit status.

mod admin;
pub mod ask;
pub mod audit;
pub mod check;
pub mod completions;
pub mod demo;
pub mod explain;
pub mod health;
pub mod key;
pub mod load;
mod log;
pub mod man;
pub mod print;
pub mod replay;
pub mod request;
pub mod serve;
pub mod status;
pub mod test;
pub mod why;

use std::process::ExitCode;

use clap::CommandFactory;
use clap::Parser;
use clap::Subcommand;

/// Where the policy is looked for when nothing else is said.
pub const DEFAULT_CONFIG: &str = "/etc/postern/postern.yaml";
/// The environment variable that says otherwise.
pub const CONFIG_VARIABLE: &str = "POSTERN_CONFIG";
/// The exit status for a request that is denied.
pub const DENIED: u8 = 3;

/// The exit status for something that could not be done.
pub const FAILED: u8 = 1;
/// The exit status for a policy with errors, and for wrong arguments.
pub const INVALID: u8 = 2;

/// External authorization for Envoy, Caddy, nginx, Traefik and HAProxy: one policy says who gets in
#[derive(Debug, Parser)]
#[command(name = "postern", version, disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    Serve(serve::Serve),
    Check(check::Check),
    Explain(explain::Explain),
    Why(why::Why),
    Test(test::Test),
    Replay(replay::Replay),
    Ask(ask::Ask),
    Status(status::Status),
    Health(health::Health),
    Demo(demo::Demo),
    Key(key::Key),
    Audit(audit::Audit),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Read the process's arguments and do what they say. Wrong arguments end the process with [`INVALID`].
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().verb {
        Verb::Serve(serve) => serve.run(),
        Verb::Check(check) => check.run(),
        Verb::Explain(explain) => explain.run(),
        Verb::Why(why) => why.run(),
        Verb::Test(test) => test.run(),
        Verb::Replay(replay) => replay.run(),
        Verb::Ask(ask) => ask.run(),
        Verb::Status(status) => status.run(),
        Verb::Health(health) => health.run(),
        Verb::Demo(demo) => demo.run(),
        Verb::Key(key) => key.run(),
        Verb::Audit(audit) => audit.run(),
        Verb::Completions(completions) => completions.run(),
        Verb::Man(man) => man.run(),
    };
    ExitCode::from(outcome.unwrap_or_else(|error| {
        print::failure(&error);
        FAILED
    }))
}

/// The command line as clap knows it.
fn command() -> clap::Command {
    Arguments::command()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_do_not_contradict_each_other() {
        command().debug_assert();
    }
}
