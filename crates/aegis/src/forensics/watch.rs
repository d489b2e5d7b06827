//! `aegis replay --watch`: the film of a journal on a terminal. All it knows is how to draw rows and which key was
//! pressed; the film itself is `aegis_forensics::watch`.

use crate::exit::{Exit, Failure};
use crate::offline::failure;
use aegis_forensics::watch::{Film, Key};
use aegis_forensics::{Reading, Until, replay};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::{cursor, event, queue, style, terminal};
use std::io::{IsTerminal, Stdout, Write};
use std::path::Path;

/// Shows a journal, from its first record or from a point on, until somebody quits.
///
/// # Errors
/// [`Failure`] when standard output or input is no terminal, or the journal cannot be read.
pub(crate) fn watch(path: &Path, until: Option<Until>) -> Result<Exit, Failure> {
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(Failure::usage(
            "--watch draws on a terminal, and standard output or input is none: use `aegis log` or `replay --until`",
        ));
    }
    let mut film = Film::new(|| replay::open_dir(path)).map_err(|e| failure(path, &e))?;
    match until {
        Some(Until::Lsn(lsn)) => film.press(Key::To(lsn)),
        Some(Until::Before(lsn)) => film.press(Key::To(aegis_model::Lsn(lsn.0.saturating_sub(1).max(1)))),
        Some(Until::End) => film.press(Key::Last),
        Some(until @ Until::Time(_)) => Reading::open_near(path, until)
            .and_then(|reading| reading.run(until))
            .and_then(|reading| film.press(Key::To(reading.state.lsn))),
        None => Ok(()),
    }
    .map_err(|e| failure(path, &e))?;
    let mut screen = Screen::enter()?;
    loop {
        screen.draw(|width, height| film.picture(width, height))?;
        match read_key()? {
            Pressed::Quit => return Ok(Exit::Ok),
            Pressed::Key(key) => film.press(key).map_err(|e| failure(path, &e))?,
            Pressed::Other => {}
        }
    }
}

enum Pressed {
    Quit,
    Key(Key),
    Other,
}

fn read_key() -> Result<Pressed, Failure> {
    let Event::Key(key) = event::read().map_err(|e| Failure::io("the terminal", &e))? else {
        return Ok(Pressed::Other);
    };
    if key.kind == KeyEventKind::Release {
        return Ok(Pressed::Other);
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    #[expect(clippy::wildcard_enum_match_arm, reason = "a keyboard has many keys that mean nothing here")]
    Ok(match key.code {
        KeyCode::Char('c') if control => Pressed::Quit,
        KeyCode::Char('q') | KeyCode::Esc => Pressed::Quit,
        KeyCode::Char(character) => Key::of(character).map_or(Pressed::Other, Pressed::Key),
        KeyCode::Right => Pressed::Key(Key::Forward(1)),
        KeyCode::Left => Pressed::Key(Key::Back(1)),
        KeyCode::Down | KeyCode::PageDown => Pressed::Key(Key::Forward(20)),
        KeyCode::Up | KeyCode::PageUp => Pressed::Key(Key::Back(20)),
        KeyCode::Home => Pressed::Key(Key::First),
        KeyCode::End => Pressed::Key(Key::Last),
        _ => Pressed::Other,
    })
}

/// The terminal while the film runs; it is given back as it was, whatever ends the film.
struct Screen(Stdout);

impl Screen {
    fn enter() -> Result<Screen, Failure> {
        let io = |e: std::io::Error| Failure::io("the terminal", &e);
        terminal::enable_raw_mode().map_err(io)?;
        // From here on dropping it gives the terminal back.
        let mut screen = Screen(std::io::stdout());
        queue!(screen.0, terminal::EnterAlternateScreen, cursor::Hide).map_err(io)?;
        Ok(screen)
    }

    fn draw(&mut self, picture: impl Fn(usize, usize) -> Vec<String>) -> Result<(), Failure> {
        let io = |e: std::io::Error| Failure::io("the terminal", &e);
        let (width, height) = terminal::size().map_err(io)?;
        queue!(self.0, cursor::MoveTo(0, 0), terminal::Clear(terminal::ClearType::All)).map_err(io)?;
        for (row, text) in (0..height).zip(picture(usize::from(width), usize::from(height))) {
            queue!(self.0, cursor::MoveTo(0, row), style::Print(text)).map_err(io)?;
        }
        self.0.flush().map_err(io)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = queue!(self.0, terminal::LeaveAlternateScreen, cursor::Show);
        let _ = self.0.flush();
        let _ = terminal::disable_raw_mode();
    }
}
