//! The rules of a task: pure, without I/O, without a clock of their own.
//!
//! Reading order: [`ids`], [`task`] (what a task is, and what messages, answers and time make of it), [`answer`] (what
//! became of a delivery to the agent), [`agents`] (which agents a user may write to), [`shown`] (what a person or a
//! program is shown), [`history`] (where a list goes on).

pub mod agents;
pub mod answer;
pub mod history;
pub mod ids;
pub mod shown;
pub mod task;
