//! Tables that stay tables on a narrow screen.
//!
//! On such a screen the rows are laid out as blocks, and some browsers then lose the roles of rows and cells. So the
//! roles are explicit. Each cell carries the name of its column, which is shown beside it.

/// A section: a heading and a table, or the word `empty` if there is no row.
pub(super) fn section(id: &str, title: &str, columns: &[&str], rows: &str, empty: &str) -> String {
    let heading = format!(
        "<section id=\"{id}\" aria-labelledby=\"{id}-title\">\n<h2 id=\"{id}-title\">{title}</h2>\n"
    );
    if rows.is_empty() {
        return format!("{heading}<p>{empty}</p>\n</section>\n");
    }
    let head: String = columns
        .iter()
        .map(|column| format!("<th scope=\"col\" role=\"columnheader\">{column}</th>"))
        .collect();
    format!(
        "{heading}<table role=\"table\" aria-labelledby=\"{id}-title\">\n\
         <thead role=\"rowgroup\"><tr role=\"row\">{head}</tr></thead>\n\
         <tbody role=\"rowgroup\">\n{rows}</tbody>\n</table>\n</section>\n"
    )
}

/// A row of cells, which are HTML. The first cell is the header of the row.
pub(super) fn row<const N: usize>(
    id: &str,
    kind: &str,
    columns: &[&str; N],
    cells: &[String; N],
) -> String {
    let mut row = format!("<tr id=\"{id}\" class=\"{kind}\" role=\"row\">");
    for (index, (column, cell)) in columns.iter().zip(cells).enumerate() {
        let (tag, role) = match index {
            0 => ("th", "rowheader\" scope=\"row"),
            _ => ("td", "cell"),
        };
        let class = column.to_lowercase().replace(' ', "-");
        row += &format!(
            "<{tag} role=\"{role}\" class=\"{class}\" data-column=\"{column}\">{cell}</{tag}>"
        );
    }
    row += "</tr>\n";
    row
}
